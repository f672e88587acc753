"""Notifications: what people are told outside the console, over which channels, and that it arrives at least once.

A notification says that there is something to look at and where. It carries no text of an agent's, no reason or note of a person's, and no
secret; it leads to sign-in, and nothing that comes back is a vote. Who is to be told is decided elsewhere (gate).
"""

from stagewarden.notify.channels import Channel, Outcome
from stagewarden.notify.courier import Courier
from stagewarden.notify.ledger import Delivery, Ledger, NewDelivery
from stagewarden.notify.notice import Notice, SeatLine
from stagewarden.notify.opening import Opened, open_channels, problems

__all__ = ["Channel", "Courier", "Delivery", "Ledger", "NewDelivery", "Notice", "Opened", "Outcome", "SeatLine", "open_channels", "problems"]
