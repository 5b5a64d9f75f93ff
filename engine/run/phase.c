#include "run/phase.h"

#include <string.h>

/* clang-format off */
const struct phase phase_table[PHASE_COUNT] = {
    [PHASE_LEASE] = { "lease", PHASE_NONE, PHASE_UNTIL_FAILURE,
        "takes a connection from the pool", { "ephemeral" } },
    [PHASE_COMPILE] = { "compile", PHASE_NONE, PHASE_UNTIL_FAILURE,
        "renders the SQL, injects ephemeral models", { NULL } },
    [PHASE_PRE_OUTSIDE] = { "pre_outside", PHASE_NONE, PHASE_UNTIL_FAILURE,
        "pre-hooks with `transaction: false`", { "ephemeral" } },
    [PHASE_BEGIN] = { "begin", PHASE_OPENS, PHASE_UNTIL_FAILURE,
        "a real BEGIN", { "ephemeral", "test" } },
    [PHASE_PRE_HOOKS] = { "pre_hooks", PHASE_INSIDE, PHASE_UNTIL_FAILURE,
        "pre-hooks", { "ephemeral" } },
    [PHASE_BUILD] = { "build", PHASE_INSIDE, PHASE_UNTIL_FAILURE,
        "the materialization", { "ephemeral" } },
    [PHASE_POST_HOOKS] = { "post_hooks", PHASE_INSIDE, PHASE_UNTIL_FAILURE,
        "grants and comments, then post-hooks", { "ephemeral" } },
    [PHASE_COMMIT] = { "commit", PHASE_CLOSES, PHASE_UNTIL_FAILURE,
        "a real COMMIT", { "ephemeral", "test" } },
    [PHASE_POST_OUTSIDE] = { "post_outside", PHASE_NONE, PHASE_UNTIL_FAILURE,
        "post-hooks with `transaction: false`", { "ephemeral" } },
    [PHASE_ON_FAILURE] = { "on_failure", PHASE_OWN, PHASE_AFTER_FAILURE,
        "on_failure hooks, after the rollback", { "ephemeral" } },
    [PHASE_ALWAYS] = { "always", PHASE_OWN, PHASE_EVER,
        "always hooks", { "ephemeral" } },
    [PHASE_REPORT] = { "report", PHASE_NONE, PHASE_EVER,
        "result, timings, events", { NULL } },
};
/* clang-format on */

const char *phase_transaction_name(enum phase_transaction transaction)
{
    static const char *const names[] = { "none", "opens", "inside", "closes", "own" };
    return names[transaction];
}

const char *phase_when_name(enum phase_when when)
{
    static const char *const names[] = { "until a failure", "after a failure", "ever" };
    return names[when];
}

int phase_skipped_by(enum phase_id phase, const char *kind)
{
    for (const char *const *name = phase_table[phase].skipped_by; *name; name++)
        if (strcmp(*name, kind) == 0)
            return 1;
    return 0;
}
