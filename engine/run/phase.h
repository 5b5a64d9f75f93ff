/*
 * The life of a node, phase by phase, as one table: the engine goes through it, and `plan`, the
 * hook page and the docs are printed from it (dex.run.phases()).
 */
#ifndef DEX_RUN_PHASE_H
#define DEX_RUN_PHASE_H

/* In the order in which a node goes through them. */
enum phase_id {
    PHASE_LEASE,
    PHASE_COMPILE,
    PHASE_PRE_OUTSIDE,
    PHASE_BEGIN,
    PHASE_PRE_HOOKS,
    PHASE_BUILD,
    PHASE_POST_HOOKS,
    PHASE_COMMIT,
    PHASE_POST_OUTSIDE,
    PHASE_ON_FAILURE,
    PHASE_ALWAYS,
    PHASE_REPORT,
    PHASE_COUNT
};

/* What a phase has to do with the node's transaction. */
enum phase_transaction {
    PHASE_NONE, /* runs outside of it */
    PHASE_OPENS,
    PHASE_INSIDE,
    PHASE_CLOSES,
    PHASE_OWN /* has one of its own, opened and closed around it */
};

/* Which nodes go through a phase. */
enum phase_when { PHASE_UNTIL_FAILURE, PHASE_AFTER_FAILURE, PHASE_EVER };

struct phase {
    const char *name;
    enum phase_transaction transaction;
    enum phase_when when;
    const char *does;
    const char *skipped_by[4]; /* kinds of nodes that have no such phase; ends with NULL */
};

extern const struct phase phase_table[PHASE_COUNT];

/* "none", "opens", "inside", "closes", "own" */
const char *phase_transaction_name(enum phase_transaction transaction);

/* "until a failure", "after a failure", "ever" */
const char *phase_when_name(enum phase_when when);

/* Whether nodes of this kind have no such phase. */
int phase_skipped_by(enum phase_id phase, const char *kind);

#endif
