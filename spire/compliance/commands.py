"""The commands of the Compliance Server. Each change is audited, also where it is refused."""

from typing import Final

from spire.compliance.values import RuleDraft, RuleEntry, Violation, ViolationQuery
from spire.wire.arguments import Integer, Text, Typed
from spire.wire.commands import Command

_ID: Final = Integer(minimum=1)
_REASON: Final = Text(longest=1000)


class AddRule(Command):
    """Put a rule on a directory entry; administrators only.

    Raises FORBIDDEN, NOT_FOUND (the entry), INVALID with the argument (an unknown schema, a wrong parameter), UNAVAILABLE.
    """

    arguments = [(b"draft", Typed(RuleDraft)), (b"reason", _REASON)]
    response = [(b"rule", Typed(RuleEntry))]


class ChangeRule(Command):
    """Write another version of a rule, against the version that was read; administrators only.

    Its entry stays. Raises what AddRule raises, and CONFLICT with the version that holds.
    """

    arguments = [
        (b"rule_id", _ID),
        (b"draft", Typed(RuleDraft)),
        (b"expected_version", Integer(minimum=1)),
        (b"reason", _REASON),
    ]
    response = [(b"rule", Typed(RuleEntry))]


class ListRules(Command):
    """Return a page of the rules on an entry and above it, by id, after rule id `after`.

    For whoever may READ the entry, or VIEW, TRADE or MANAGE the trading account or group that it is.
    """

    arguments = [(b"entry_id", _ID), (b"after", Integer(minimum=0))]
    response = [(b"rules", Typed(tuple[RuleEntry, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class LoadRuleHistory(Command):
    """Return a page of the versions of a rule, oldest first, after version `after`; under the rule of ListRules."""

    arguments = [(b"rule_id", _ID), (b"after", Integer(minimum=0))]
    response = [(b"rules", Typed(tuple[RuleEntry, ...])), (b"next_after", Integer(minimum=0, optional=True))]


class QueryViolations(Command):
    """Return a page of violations, newest first; `more` says whether another follows.

    Of trading accounts that the caller may see; FORBIDDEN for an entry beneath which he may see none.
    """

    arguments = [(b"query", Typed(ViolationQuery))]
    response = [(b"violations", Typed(tuple[Violation, ...])), (b"more", Typed(bool))]
