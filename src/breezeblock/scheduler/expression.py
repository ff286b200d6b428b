# SPDX-License-Identifier: Apache-2.0
"""The language of filter_function and goodness_function: arithmetic, comparison and logic over `name.name` variables. It can compute a
value and nothing else; length, tokens and nesting are bounded, so a hostile text costs microseconds. Every mistake is an ExpressionError.

    or        := and     { ("or" | "OR" | "||") and }
    and       := choice  { ("and" | "AND" | "&&") choice }
    choice    := comparison [ "?" choice ":" choice ]
    comparison:= not     { ("<" | "<=" | ">" | ">=" | "==" | "!=" | "<>") not }      chained: every pair must hold
    not       := ("!" | "not" | "NOT") not | sum
    sum       := product { ("+" | "-") product }
    product   := sign    { ("*" | "/") sign }                                          division gives a real
    sign      := ("+" | "-") sign | power
    power     := operand [ "^" power ]
    operand   := number | string | name "." name | ("abs" | "max" | "min") "(" or { "," or } ")" | "(" or ")"
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Value = float | int | str | bool | None
Scope = Mapping[str, Mapping[str, Any]]
Node = Callable[[Scope], Value]

MOST_CHARACTERS = 4096
MOST_TOKENS = 1000
MOST_DEPTH = 30

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?)
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)
      | (?P<sign><=|>=|==|!=|<>|&&|\|\||[-+*/^()<>!?:,])
    )""",
    re.VERBOSE,
)
_NUMERIC = re.compile(r"[+-]?\d+(\.\d+)?")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
}
_FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "abs": lambda values: abs(values[0]),
    "max": max,
    "min": min,
}
_OR, _AND, _NOT = ("or", "OR", "||"), ("and", "AND", "&&"), ("!", "not", "NOT")


class ExpressionError(ValueError):
    """The text is no expression, or it has no value here. The message is for the operator who wrote it."""


def evaluate(text: str, scope: Scope) -> Value:
    """The value of `text` where its variables are found in `scope`."""
    try:
        value = parse(text)(scope)
    except ExpressionError:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ExpressionError(str(error)) from error
    if isinstance(value, float) and math.isnan(value):
        raise ExpressionError("the result is not a real number")
    return value


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Node:
    """Parsed once per text: the same few functions are evaluated for every pool of every request."""
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"it has {len(text)} characters, at most {MOST_CHARACTERS} are allowed")
    found: list[tuple[str, str]] = []
    text, at = text.rstrip(), 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"'{text[at : at + 10].strip()}' at character {at + 1} is not understood")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        at = match.end()
    if len(found) > MOST_TOKENS:
        raise ExpressionError(f"it has {len(found)} words and signs, at most {MOST_TOKENS} are allowed")
    return found


class _Parser:
    """Recursive descent, a method for each line of the grammar. Makes closures: evaluating needs no second walk."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    def whole(self) -> Node:
        node = self.nested(self.disjunction)
        if self.at < len(self.tokens):
            raise ExpressionError(f"'{self.tokens[self.at][1]}' was not expected there")
        return node

    def nested(self, rule: Callable[[], Node]) -> Node:
        """Every recursion goes through here, so that nesting is bounded by us and not by the interpreter's stack."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ExpressionError(f"it is nested deeper than {MOST_DEPTH}")
        node = rule()
        self.depth -= 1
        return node

    def take(self, *wanted: str) -> str | None:
        """The next token when it is one of these (a string literal never is)."""
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind != "string" and text in wanted:
                self.at += 1
                return text
        return None

    def expect(self, sign: str) -> None:
        if self.take(sign) is None:
            there = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise ExpressionError(f"'{sign}' was expected where {there} is")

    def disjunction(self) -> Node:
        node = self.conjunction()
        while self.take(*_OR):
            node = _either(node, self.conjunction())
        return node

    def conjunction(self) -> Node:
        node = self.choice()
        while self.take(*_AND):
            node = _both(node, self.choice())
        return node

    def choice(self) -> Node:
        condition = self.comparison()
        if not self.take("?"):
            return condition
        yes = self.nested(self.choice)
        self.expect(":")
        no = self.nested(self.choice)
        return lambda scope: yes(scope) if condition(scope) else no(scope)

    def comparison(self) -> Node:
        first, rest = self.negation(), []
        while sign := self.take(*_COMPARE):
            rest.append((_COMPARE[sign], self.negation()))
        return _chain(first, rest) if rest else first

    def negation(self) -> Node:
        if self.take(*_NOT):
            node = self.nested(self.negation)
            return lambda scope: not node(scope)
        return self.sum()

    def sum(self) -> Node:
        node = self.product()
        while sign := self.take("+", "-"):
            node = _arithmetic(operator.add if sign == "+" else operator.sub, node, self.product())
        return node

    def product(self) -> Node:
        node = self.sign()
        while sign := self.take("*", "/"):
            node = _arithmetic(operator.mul if sign == "*" else operator.truediv, node, self.sign())
        return node

    def sign(self) -> Node:
        if sign := self.take("+", "-"):
            node = self.nested(self.sign)
            return lambda scope: -_number(node(scope)) if sign == "-" else _number(node(scope))
        return self.power()

    def power(self) -> Node:
        base = self.operand()
        if self.take("^"):
            # Real numbers: 9^9^9 overflows at once instead of computing for minutes.
            return _arithmetic(math.pow, base, self.nested(self.power))
        return base

    def operand(self) -> Node:
        if self.take("("):
            node = self.nested(self.disjunction)
            self.expect(")")
            return node
        if function := self.take(*_FUNCTIONS):
            return self.call(function)
        if self.at >= len(self.tokens):
            raise ExpressionError("it ends too early")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            constant: Value = _plain(text)
            return lambda scope: constant
        if kind == "string":
            quoted: Value = _plain(text[1:-1])
            return lambda scope: quoted
        if kind == "name" and "." in text:
            return _variable(text)
        raise ExpressionError(f"'{text}' is neither a value nor a name like stats.host")

    def call(self, function: str) -> Node:
        self.expect("(")
        arguments = [self.nested(self.disjunction)]
        while self.take(","):
            arguments.append(self.nested(self.disjunction))
        self.expect(")")
        if function == "abs" and len(arguments) != 1:
            raise ExpressionError(f"abs takes one argument, there were {len(arguments)}")
        apply = _FUNCTIONS[function]
        return lambda scope: apply([_number(argument(scope)) for argument in arguments])


def _either(left: Node, right: Node) -> Node:
    return lambda scope: left(scope) or right(scope)


def _both(left: Node, right: Node) -> Node:
    return lambda scope: left(scope) and right(scope)


def _arithmetic(apply: Callable[[float, float], float], left: Node, right: Node) -> Node:
    return lambda scope: apply(_number(left(scope)), _number(right(scope)))


def _chain(first: Node, rest: list[tuple[Callable[[Any, Any], bool], Node]]) -> Node:
    def node(scope: Scope) -> bool:
        left = first(scope)
        for compare, operand in rest:
            right = operand(scope)
            if not compare(left, right):
                return False
            left = right
        return True

    return node


def _variable(text: str) -> Node:
    space, _, name = text.partition(".")

    def node(scope: Scope) -> Value:
        if space not in scope or name not in scope[space]:
            raise ExpressionError(f"there is no {text} here")
        return _plain(scope[space][name])

    return node


def _plain(value: Any) -> Value:
    """A text that reads as a number is one."""
    if isinstance(value, str) and _NUMERIC.fullmatch(value):
        return float(value) if "." in value or len(value) > 18 else int(value)
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return str(value)


def _number(value: Value) -> float:
    if isinstance(value, int | float):
        return value
    raise ExpressionError(f"'{value}' is not a number")
