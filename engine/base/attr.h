/* Compiler attributes, spelled once. */
#ifndef DEX_BASE_ATTR_H
#define DEX_BASE_ATTR_H

/* The caller must look at the result. */
#define MUST_CHECK __attribute__((warn_unused_result))

/* Argument `f` is a printf format, its arguments begin at `a` (0 for a va_list). */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#define NORETURN __attribute__((noreturn))

#endif
