"""Keyed locks."""

import asyncio

import pytest

from stagewarden.gate.locks import KeyedLocks

KEY = ("cms", "/posts/1")


async def test_a_second_waits_for_the_first_and_order_is_kept():
    """Whoever asks second gets the key second, and nothing is left when all are done."""
    locks, order = KeyedLocks(), []

    async def work(name):
        await locks.acquire(KEY)
        order.append(name)
        await asyncio.sleep(0)
        locks.release(KEY)

    await locks.acquire(KEY)
    tasks = [asyncio.create_task(work(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert order == []
    locks.release(KEY)
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]
    assert len(locks) == 0


async def test_other_keys_do_not_wait():
    """Two assets do not know each other."""
    locks = KeyedLocks()
    await locks.acquire(KEY)
    await asyncio.wait_for(locks.acquire(("cms", "/posts/2")), 60)


@pytest.mark.parametrize("handed_over", [False, True], ids=["while-waiting", "after-the-turn-came"])
async def test_a_cancelled_waiter_loses_nobodys_turn(handed_over):
    """A waiter that is cancelled passes the key on, also when it had just been handed over."""
    locks = KeyedLocks()
    await locks.acquire(KEY)
    first = asyncio.create_task(locks.acquire(KEY))
    second = asyncio.create_task(locks.acquire(KEY))
    await asyncio.sleep(0)
    if handed_over:
        locks.release(KEY)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    if not handed_over:
        locks.release(KEY)
    await asyncio.wait_for(second, 60)
    locks.release(KEY)
    assert len(locks) == 0
