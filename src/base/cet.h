/* Assembler: the landing mark that indirect branches need under CET, as the compiler was told. */
#ifndef BASE_CET_H
#define BASE_CET_H

#ifdef __CET__
#include <cet.h>
#define ENDBR _CET_ENDBR
#else
#define ENDBR
#endif

#endif
