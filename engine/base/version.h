/* The one place that holds the program's version. */
#ifndef DEX_BASE_VERSION_H
#define DEX_BASE_VERSION_H

#define DEX_VERSION "0.1.0"

#endif
