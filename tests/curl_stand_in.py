"""Stands in for curl where a machine has none: the few options that our pages use.

Run as a program. `-s` and `-S` are taken and mean nothing; `-f` fails with 22 on a status from 400 on, as curl does;
7 is nobody answering.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Ask once; put the body out; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-S", action="store_true")
    parser.add_argument("-f", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="body")
    given = parser.parse_intermixed_args()
    headers = {name: value.strip() for name, _, value in (header.partition(":") for header in given.headers)}
    body = None if given.body is None else given.body.encode()
    request = urllib.request.Request(given.url, body, headers, method=given.method)  # noqa: S310 - what a page names
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            content = answer.read()
    except urllib.error.HTTPError as error:
        content = error.read()
        if given.f:
            return 22
    except urllib.error.URLError:
        return 7
    sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
