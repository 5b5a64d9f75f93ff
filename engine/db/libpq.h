/*
 * libpq, loaded when the first connection is made: with what it brings along (TLS, Kerberos, LDAP)
 * loading it would take more than half of the time of a command that needs no database. Its
 * functions are called as ever; nothing else includes libpq-fe.h.
 */
#ifndef DEX_DB_LIBPQ_H
#define DEX_DB_LIBPQ_H

#include <libpq-fe.h>

#include "base/attr.h"
#include "base/err.h"

#define LIBPQ_FUNCTIONS(X)                                                                         \
    X(PQbackendPID)                                                                                \
    X(PQcancel)                                                                                    \
    X(PQclear)                                                                                     \
    X(PQcmdStatus)                                                                                 \
    X(PQcmdTuples)                                                                                 \
    X(PQconnectPoll)                                                                               \
    X(PQconnectStartParams)                                                                        \
    X(PQconsumeInput)                                                                              \
    X(PQerrorMessage)                                                                              \
    X(PQescapeLiteral)                                                                             \
    X(PQfinish)                                                                                    \
    X(PQflush)                                                                                     \
    X(PQfname)                                                                                     \
    X(PQfreeCancel)                                                                                \
    X(PQfreemem)                                                                                   \
    X(PQftype)                                                                                     \
    X(PQgetCancel)                                                                                 \
    X(PQgetCopyData)                                                                               \
    X(PQgetResult)                                                                                 \
    X(PQgetisnull)                                                                                 \
    X(PQgetlength)                                                                                 \
    X(PQgetvalue)                                                                                  \
    X(PQhost)                                                                                      \
    X(PQisBusy)                                                                                    \
    X(PQlibVersion)                                                                                \
    X(PQnfields)                                                                                   \
    X(PQnotifies)                                                                                  \
    X(PQntuples)                                                                                   \
    X(PQport)                                                                                      \
    X(PQputCopyData)                                                                               \
    X(PQputCopyEnd)                                                                                \
    X(PQresultErrorField)                                                                          \
    X(PQresultErrorMessage)                                                                        \
    X(PQresultMemorySize)                                                                          \
    X(PQresultStatus)                                                                              \
    X(PQsendQuery)                                                                                 \
    X(PQsendQueryParams)                                                                           \
    X(PQsetNoticeReceiver)                                                                         \
    X(PQsetnonblocking)                                                                            \
    X(PQsocket)                                                                                    \
    X(PQstatus)                                                                                    \
    X(PQtransactionStatus)

struct libpq {
#define LIBPQ_FIELD(name) __typeof__(name) *name;
    LIBPQ_FUNCTIONS(LIBPQ_FIELD)
#undef LIBPQ_FIELD
};

/*
 * Loads the library unless that was done. Whoever makes the first connection, or asks for the
 * version, calls it; where there is a connection or a result, it is loaded. Code 403 on failure.
 */
MUST_CHECK int libpq_load(struct err *e);

/* The functions, after libpq_load. */
const struct libpq *libpq_functions(void);

#define PQbackendPID (libpq_functions()->PQbackendPID)
#define PQcancel (libpq_functions()->PQcancel)
#define PQclear (libpq_functions()->PQclear)
#define PQcmdStatus (libpq_functions()->PQcmdStatus)
#define PQcmdTuples (libpq_functions()->PQcmdTuples)
#define PQconnectPoll (libpq_functions()->PQconnectPoll)
#define PQconnectStartParams (libpq_functions()->PQconnectStartParams)
#define PQconsumeInput (libpq_functions()->PQconsumeInput)
#define PQerrorMessage (libpq_functions()->PQerrorMessage)
#define PQescapeLiteral (libpq_functions()->PQescapeLiteral)
#define PQfinish (libpq_functions()->PQfinish)
#define PQflush (libpq_functions()->PQflush)
#define PQfname (libpq_functions()->PQfname)
#define PQfreeCancel (libpq_functions()->PQfreeCancel)
#define PQfreemem (libpq_functions()->PQfreemem)
#define PQftype (libpq_functions()->PQftype)
#define PQgetCancel (libpq_functions()->PQgetCancel)
#define PQgetCopyData (libpq_functions()->PQgetCopyData)
#define PQgetResult (libpq_functions()->PQgetResult)
#define PQgetisnull (libpq_functions()->PQgetisnull)
#define PQgetlength (libpq_functions()->PQgetlength)
#define PQgetvalue (libpq_functions()->PQgetvalue)
#define PQhost (libpq_functions()->PQhost)
#define PQisBusy (libpq_functions()->PQisBusy)
#define PQlibVersion (libpq_functions()->PQlibVersion)
#define PQnfields (libpq_functions()->PQnfields)
#define PQnotifies (libpq_functions()->PQnotifies)
#define PQntuples (libpq_functions()->PQntuples)
#define PQport (libpq_functions()->PQport)
#define PQputCopyData (libpq_functions()->PQputCopyData)
#define PQputCopyEnd (libpq_functions()->PQputCopyEnd)
#define PQresultErrorField (libpq_functions()->PQresultErrorField)
#define PQresultErrorMessage (libpq_functions()->PQresultErrorMessage)
#define PQresultMemorySize (libpq_functions()->PQresultMemorySize)
#define PQresultStatus (libpq_functions()->PQresultStatus)
#define PQsendQuery (libpq_functions()->PQsendQuery)
#define PQsendQueryParams (libpq_functions()->PQsendQueryParams)
#define PQsetNoticeReceiver (libpq_functions()->PQsetNoticeReceiver)
#define PQsetnonblocking (libpq_functions()->PQsetnonblocking)
#define PQsocket (libpq_functions()->PQsocket)
#define PQstatus (libpq_functions()->PQstatus)
#define PQtransactionStatus (libpq_functions()->PQtransactionStatus)

#endif
