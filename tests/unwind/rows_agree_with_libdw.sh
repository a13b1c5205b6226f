#!/bin/bash
# Call frame information as we run it, against libdw's, at the row boundaries of a sample of the
# functions of every library here.  "make check-unwind" takes them all.
exec "${builddir:-.}/tests/unwind/check_unwind" --sample 97 /usr/lib /usr/bin
