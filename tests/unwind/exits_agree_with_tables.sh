#!/bin/bash
# The way out of a function as its instructions have it, against the unwind tables, in code that has both.
exec "${builddir:-.}/tests/unwind/check_exits" --sample 7 libc.so.6 libm.so.6 libstdc++.so.6 libcrypto.so.3
