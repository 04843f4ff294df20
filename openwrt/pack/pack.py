#!/usr/bin/env python3
"""Packages for OpenWrt without its build tree: pack.py ipk|apk|source [--target NAME]...

    ipk      target/packages/opkg/ARCHITECTURE/*.ipk for 24.10 and older, with the index of a feed
    apk      target/packages/apk/ARCHITECTURE/*.apk for 25.12 and later, with packages.adb
    source   target/packages/portolan-VERSION.tar.gz for the Makefile of the feed

From the binaries in target/cross/NAME, for each OpenWrt architecture that cross/targets gives
them. The same input makes the same bytes: stamps are SOURCE_DATE_EPOCH, else the time of the
commit. Needs Python 3.9 and nothing else.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True

import apk  # noqa: E402 (what runs from a repository leaves nothing in it)
import build  # noqa: E402
import ipk  # noqa: E402


def main():
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("format", choices=["ipk", "apk", "source"])
    parser.add_argument("--target", action="append", default=[], metavar="NAME",
                        help="a target of cross/targets; without it all that are built")
    parser.add_argument("--top", default=top, help="the repository")
    parser.add_argument("--binaries", metavar="DIR", help="instead of target/cross")
    parser.add_argument("--output", metavar="DIR", help="instead of target/packages")
    given = parser.parse_args()
    binaries = given.binaries or os.path.join(given.top, "target", "cross")
    output = given.output or os.path.join(given.top, "target", "packages")
    try:
        job = build.Job(given.top, binaries, output)
        if given.format == "source":
            job.source()
        else:
            job.packages({"ipk": ipk, "apk": apk}[given.format], given.target)
    except build.Refused as refused:
        sys.exit(f"pack: {refused}")


if __name__ == "__main__":
    main()
