#!/bin/bash
# Some rows of the matrix of real programs; "make check-hosts" has all of them.
HOSTS=${HOSTS:-perl lua sqlite openssl gcc python ruby node} MODES=${MODES:-both} ALLOCATORS=${ALLOCATORS:-glibc} \
	exec bash "${srcdir:-.}/tests/hosts/check.sh"
