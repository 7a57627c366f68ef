"""The vocabulary of control: risk states, halts, states of rules. Numbers are the wire's and the database's."""

from enum import IntEnum, IntFlag


class RiskMode(IntEnum):
    """What a trading account may do; a greater one allows less."""

    ACTIVE = 1
    CLOSE_ORDERS = 2
    """Only orders that reduce; Risk has cancelled those that open."""
    DISABLED = 3
    """No orders but Risk's own, which reduce until the account is flat."""


class HaltScope(IntEnum):
    """What a halt stops."""

    FIRM = 1
    GROUP = 2
    TRADING_ACCOUNT = 3
    ACCOUNT = 4
    STRATEGY = 5
    SESSION = 6
    DESTINATION = 7
    VENUE = 8
    INSTRUMENT = 9


class HaltMode(IntEnum):
    """Which orders a halt stops; cancels always pass. A greater one stops more."""

    NO_OPENING = 1
    """Orders that open risk."""
    NO_NEW = 2
    """Every new order."""


class HaltAction(IntFlag):
    """What is done beside stopping, when a halt is set."""

    NONE = 0
    CANCEL_ALL = 1
    FLATTEN = 2


class RuleState(IntEnum):
    """Whether a compliance rule binds."""

    ACTIVE = 1
    """It refuses, and is recorded as a violation."""
    PASSIVE = 2
    """It is recorded as a violation only."""
    DISABLED = 3
