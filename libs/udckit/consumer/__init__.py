"""The one consumer loop of all services. Handlers never acknowledge; what they raise decides what happens.

A handler does its slow work first and returns an effect. The effect, the memory that the event is done with and the
events it announces are one transaction; only then is the message acknowledged. Effects of several messages share a
commit.
"""

from udckit.consumer.contract import (
    SETTLEMENT_OF,
    Effect,
    Handler,
    OnDeadLetter,
    Policy,
    Settlement,
    Subscription,
    Telling,
)
from udckit.consumer.gaps import AskAgain
from udckit.consumer.loop import Consumer, consuming

__all__ = [
    "SETTLEMENT_OF",
    "AskAgain",
    "Consumer",
    "Effect",
    "Handler",
    "OnDeadLetter",
    "Policy",
    "Settlement",
    "Subscription",
    "Telling",
    "consuming",
]
