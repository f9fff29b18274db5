#!/usr/bin/env python3
"""Each file includes the standard header of every name that it uses, itself or by headers of ours: which standard header brings along which other
changes from one library to the next (<string> brought <cstdint> until GCC 13), so the compiler at hand does not find what is missing.
Each of our headers has #pragma once, and a file that is included is there."""

import re
import sys
from functools import lru_cache
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ["libproto", "libmaildir", "smtpd", "queued", "imapd", "pop3d", "authd", "tools", "tests"]

# Names of namespace std, by the header that the standard puts them in.
NAMES = {
    "algorithm": "sort stable_sort find_if find_if_not any_of all_of none_of min max minmax clamp lower_bound upper_bound binary_search "
    "remove_if count_if transform copy_if reverse unique max_element min_element equal_range partition rotate search mismatch "
    "adjacent_find is_sorted nth_element partial_sort set_difference includes",
    "array": "array to_array",
    "atomic": "atomic atomic_flag memory_order_relaxed memory_order_acquire memory_order_release",
    "bit": "bit_cast popcount countl_zero countr_zero bit_ceil endian",
    "charconv": "from_chars to_chars from_chars_result to_chars_result",
    "chrono": "chrono",
    "condition_variable": "condition_variable",
    "coroutine": "coroutine_handle suspend_always suspend_never noop_coroutine",
    "deque": "deque",
    "exception": "exception_ptr current_exception rethrow_exception",
    "fstream": "ifstream ofstream",
    "functional": "function greater less hash invoke reference_wrapper ref cref not_fn",
    "future": "future promise async",
    "iostream": "cout cerr cin",
    "iterator": "back_inserter make_move_iterator istreambuf_iterator inserter ostream_iterator",
    "limits": "numeric_limits",
    "list": "list",
    "map": "map multimap",
    "memory": "unique_ptr shared_ptr weak_ptr make_unique make_shared enable_shared_from_this addressof",
    "mutex": "mutex lock_guard unique_lock scoped_lock call_once once_flag recursive_mutex",
    "numeric": "accumulate iota gcd",
    "optional": "optional nullopt",
    "queue": "queue priority_queue",
    "random": "mt19937 mt19937_64 random_device uniform_int_distribution",
    "set": "set multiset",
    "span": "span",
    "sstream": "istringstream ostringstream stringstream",
    "string": "string to_string stoi stoul stoull",
    "string_view": "string_view",
    "thread": "thread this_thread jthread",
    "tuple": "tuple tie make_tuple forward_as_tuple",
    "type_traits": "is_same_v decay_t enable_if_t invoke_result_t is_void_v remove_cvref_t conditional_t",
    "unordered_map": "unordered_map unordered_multimap",
    "unordered_set": "unordered_set",
    "utility": "pair exchange make_pair swap",
    "variant": "variant visit get_if holds_alternative monostate",
    "vector": "vector",
}
OF_STD = {name: header for header, names in NAMES.items() for name in names.split()}
FIXED = re.compile(r"(?<![\w.>])(?:std::)?(u?int(?:8|16|32|64)_t|u?int_(?:fast|least)\d+_t|u?intptr_t|UINT(?:8|16|32|64)_MAX|INT(?:8|16|32|64)_M(?:AX|IN))\b")
# A header that the standard defines to bring the other along.
ALSO = {"string": {"string_view"}, "algorithm": set(), "map": {"utility"}, "unordered_map": {"utility"}, "fstream": {"iostream"}, "variant": set(), "thread": set()}
# <initializer_list>, <utility> and the like are brought by nearly all; names that several headers declare:
ELSEWHERE = {
    "swap": {"string_view", "string", "array", "vector"}, "hash": {"string", "string_view", "memory", "optional", "variant"},
    "function": set(), "nullopt": set(), "less": {"map", "set"}, "greater": {"queue"}, "pair": {"map", "unordered_map"},
    "back_inserter": {"string", "vector"}, "make_move_iterator": {"string", "vector"}, "exchange": set(), "tuple": set(), "tie": set(),
    "string_view": {"string"},
}
CSTDINT = {"cstdint", "stdint.h", "inttypes.h", "cinttypes"}


def bare(text):
    """Without comments and without what stands in string literals."""
    text = re.sub(r'R"(\w*)\(.*?\)\1"', '""', text, flags=re.S)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', lambda m: '""' if m[0][0] == '"' else " ", text, flags=re.S)


@lru_cache(maxsize=None)
def includes(path):
    """The headers from outside that `path` gets by itself and by headers of ours, and the files of ours that are not there."""
    outside, lost = set(), []
    todo, seen = [path], set()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for kind, name in re.findall(r'^#\s*include ([<"])([^>"]+)[>"]', file.read_text(), re.M):
            if kind == "<":
                outside.add(name)
                continue
            target = next((t for t in (TOP / name, file.parent / name) if t.exists()), None)
            if target:
                todo.append(target)
            elif file == path:
                lost.append(name)
    return outside, lost


def main():
    wrong = []
    files = [p for folder in FOLDERS for p in sorted((TOP / folder).rglob("*")) if p.suffix in (".h", ".cc")]
    for path in files:
        text = path.read_text()
        code = bare(text)
        where = path.relative_to(TOP)
        outside, lost = includes(path)
        wrong += [f'{where}: includes "{name}", which is not there' for name in lost]
        if path.suffix == ".h" and "#pragma once" not in text:
            wrong.append(f"{where}: no #pragma once")
        missing = {}
        for name in re.findall(r"\bstd::(\w+)", code):
            header = OF_STD.get(name)
            if not header or header in outside or outside & ELSEWHERE.get(name, set()):
                continue
            if any(header in ALSO.get(other, ()) for other in outside):
                continue
            missing.setdefault(header, "std::" + name)
        found = FIXED.search(code)
        if found and not outside & CSTDINT:
            missing["cstdint"] = found[1]
        wrong += [f"{where}: uses {name} without <{header}>" for header, name in sorted(missing.items())]
    for line in wrong[:40]:
        print(f"headers: {line}", file=sys.stderr)
    if len(wrong) > 40:
        print(f"headers: and {len(wrong) - 40} more", file=sys.stderr)
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
