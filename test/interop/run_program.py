"""Runs a program that stands in a page of docs/, and tells what it prints."""

import contextlib
import io
import json
import sys

given = json.load(sys.stdin)
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    exec(compile(given["program"], given["page"], "exec"), {})
json.dump({"printed": printed.getvalue()}, sys.stdout)
