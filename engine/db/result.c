#include "base/mem.h"
#include "db/adapter.h"

void db_result_free(struct db_result *results)
{
    while (results) {
        struct db_result *next = results->next;
        PQclear(results->res);
        mem_free(results);
        results = next;
    }
}

const PGresult *db_result_error(const struct db_result *results)
{
    for (; results; results = results->next)
        if (PQresultStatus(results->res) == PGRES_FATAL_ERROR)
            return results->res;
    return NULL;
}
