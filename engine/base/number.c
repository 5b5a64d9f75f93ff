#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "-d.ddde+XX" with the fewest digits. */
static void shortest(double x, char *out)
{
    /*
     * 15 digits always suffice for a number that has a shorter form, except below the normal range
     */
    int digits = fabs(x) < DBL_MIN ? 1 : 15;
    do
        snprintf(out, NUMBER_SIZE, "%.*e", digits - 1, x);
    while (strtod(out, NULL) != x && ++digits <= 17);
}

void number_repr(double x, char out[NUMBER_SIZE])
{
    if (isnan(x) || isinf(x)) {
        strcpy(out, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
        return;
    }
    char text[NUMBER_SIZE], digits[20];
    shortest(x, text);
    char *mark = strchr(text, 'e');
    int exponent = atoi(mark + 1);
    int n = 0;
    for (const char *p = text; p < mark && n < 17; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    const char *sign = signbit(x) ? "-" : "";
    if (exponent >= 16 || exponent < -4)
        snprintf(out, NUMBER_SIZE, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "", digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        snprintf(out, NUMBER_SIZE, "%s0.%.*s%s", sign, -exponent - 1, "0000", digits);
    else if (n <= exponent + 1)
        snprintf(out, NUMBER_SIZE, "%s%s%.*s.0", sign, digits, exponent + 1 - n,
                 "0000000000000000");
    else
        snprintf(out, NUMBER_SIZE, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}
