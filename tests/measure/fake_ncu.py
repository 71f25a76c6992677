#!/usr/bin/env python3
"""Behaves like Nsight Compute: prints its table's head, runs the program, whose output is the table's rows."""

import os
import subprocess
import sys

if os.environ.get("TEST_NCU") == "forbidden":
    sys.exit("==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters")
arguments = sys.argv[1:]
metrics = arguments[arguments.index("--metrics") + 1].split(",")
program = arguments[arguments.index("--metrics") + 2 :]
names = ["ID", "Kernel Name", "Grid Size", *metrics]
print(",".join(f'"{name}"' for name in names))
print(",".join('""' for _ in names), flush=True)
code = subprocess.run(program, check=False).returncode
if code < 0:
    print("==ERROR== The application returned an error code (9)")
sys.exit(1 if code else 0)
