#!/usr/bin/env python3
"""Folds the stacks of `perf script` (standard input) and draws them as a flame graph.

The folded form (`thread;outer;inner count`) is what other flame graph tools read too. The top of
the self-time list goes to standard output. Needs nothing but Python.
"""

import argparse
import collections
import html
import re
import sys
import zlib

FRAME = re.compile(r"^\s*[0-9a-f]+\s+(.*?)(?:\+0x[0-9a-f]+)?(?:\s+\(([^)]*)\))?$")
HASH = re.compile(r"::h[0-9a-f]{16}$")


def stacks(lines):
    """Yields (thread, [outermost .. innermost]) for each sample."""
    thread, frames = None, []
    for line in lines:
        line = line.rstrip("\n")
        if not line.strip():
            if thread is not None:
                yield thread, frames[::-1]
            thread, frames = None, []
        elif not line[0].isspace():
            # "name with blanks  1234 [000] 5678.9: ..."
            head = re.match(r"^(.*?)\s+\d+(?:/\d+)?\s+(?:\[\d+\]\s+)?[\d.]+:", line)
            thread, frames = (head.group(1) if head else line.split()[0]), []
        else:
            match = FRAME.match(line)
            if match:
                name = HASH.sub("", match.group(1)) or "?"
                if name == "[unknown]" and match.group(2):
                    name = "[" + match.group(2).rsplit("/", 1)[-1] + "]"
                frames.append(name.replace(";", ":"))
    if thread is not None:
        yield thread, frames[::-1]


def tree_of(counts):
    root = [0, {}]
    for stack, count in counts.items():
        node = root
        node[0] += count
        for name in stack:
            node = node[1].setdefault(name, [0, {}])
            node[0] += count
    return root


def depth_of(node):
    deepest, todo = 0, [(node, 0)]
    while todo:
        (_, children), depth = todo.pop()
        deepest = max(deepest, depth)
        todo.extend((child, depth + 1) for child in children.values())
    return deepest


def draw(root, title, width=1200, row=17):
    height = (depth_of(root) + 3) * row
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="monospace" font-size="11">',
        f'<text x="8" y="13">{html.escape(title)}: {root[0]} samples</text>',
    ]
    todo = [("all", root, 0.0, 0)]
    while todo:
        name, (count, children), left, depth = todo.pop()
        wide = count * width / root[0]
        if wide < 0.4:
            continue
        top = height - (depth + 1) * row
        shade = zlib.crc32(name.encode())
        colour = f"rgb({205 + shade % 50},{120 + shade // 64 % 90},{50 + shade // 8192 % 50})"
        share = f"{name}: {count} samples, {100 * count / root[0]:.2f} %"
        out.append(
            f'<g><title>{html.escape(share)}</title><rect x="{left:.1f}" y="{top}" '
            f'width="{wide:.1f}" height="{row - 1}" fill="{colour}"/>'
        )
        room = int(wide / 6.7)
        if room >= 3:
            label = name if len(name) <= room else name[: room - 2] + ".."
            out.append(f'<text x="{left + 2:.1f}" y="{top + 12}">{html.escape(label)}</text>')
        out.append("</g>")
        for child_name, child in sorted(children.items()):
            todo.append((child_name, child, left, depth + 1))
            left += child[0] * width / root[0]
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--title", default="flame graph")
    options.add_argument("--folded")
    options.add_argument("--svg")
    options.add_argument("--top", type=int, default=15)
    options = options.parse_args()

    counts, own = collections.Counter(), collections.Counter()
    for thread, frames in stacks(sys.stdin):
        counts[(thread, *frames)] += 1
        own[frames[-1] if frames else thread] += 1
    total = sum(counts.values())
    if total == 0:
        sys.exit("fold.py: no samples on standard input")
    if options.folded:
        with open(options.folded, "w", encoding="utf-8") as out:
            out.writelines(f"{';'.join(stack)} {count}\n" for stack, count in sorted(counts.items()))
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as out:
            out.write(draw(tree_of(counts), options.title))
    print(f"{total} samples; self time:")
    for name, count in own.most_common(options.top):
        print(f"  {100 * count / total:5.1f} %  {name[:100]}")


if __name__ == "__main__":
    main()
