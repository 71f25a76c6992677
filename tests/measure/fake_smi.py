#!/usr/bin/env python3
"""Behaves like nvidia-smi for one idle GPU, or for what TEST_SMI says (JSON: field to value; "processes" to a list)."""

import json
import os
import sys

GPU = {"name": "Test GPU 1", "driver_version": "580.1", "compute_cap": "9.0", "memory.total": "81559",
       "memory.used": "600", "mig.mode.current": "Disabled", "clocks.sm": "1200", "clocks.max.sm": "1980",
       "clocks.mem": "2619", "temperature.gpu": "40", "clocks_event_reasons.active": "0x0000000000000020",
       "processes": []}  # fmt: skip
changed = json.loads(os.environ.get("TEST_SMI", "{}"))
if changed is None:
    sys.exit("No devices were found")
gpu = GPU | changed
for argument in sys.argv[1:]:
    option, _, fields = argument.partition("=")
    if option == "--query-gpu":
        print(", ".join(gpu[field] for field in fields.split(",")))
    if option == "--query-compute-apps":
        print("\n".join(map(str, gpu["processes"])))
