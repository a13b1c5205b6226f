#!/bin/bash
# 10,000 stacks of running programs as we unwind them, against libunwind's.
exec "${builddir:-.}/tests/unwind/live_stacks" --samples 10000 "${SAMPLES:-samples}"
