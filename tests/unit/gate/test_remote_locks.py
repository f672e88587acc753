"""The same locks over several processes: fair, nobody's turn lost, nothing kept by the dead."""

import asyncio

import pytest

from stagewarden.errors import CannotTell
from stagewarden.gate.locks import KeyedLocks
from stagewarden.gate.remote_locks import Granted, Keeper, RemoteLocks, Returned, Wanted

KEY = ("cms", "/posts/1")
OTHER = ("cms", "/posts/2")


class Worker:
    """A worker's end and the house's, joined; dead once `alive` is false."""

    def __init__(self, locks):
        self.alive = True
        self.keeper = Keeper(locks, self._back)
        self.locks = RemoteLocks(self._there)

    def _there(self, message):
        if self.alive:
            (self.keeper.want if isinstance(message, Wanted) else self.keeper.give_back)(message)

    def _back(self, message):
        if self.alive:
            self.locks.granted(message)

    def die(self):
        """As the house sees it."""
        self.alive = False
        self.keeper.close()


async def settle():
    """Every turn that can come has come."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_turns_come_in_the_order_in_which_they_were_asked_for():
    """Two workers and the house itself: first come, first served, and nothing is left at the end."""
    locks, order = KeyedLocks(), []
    one, two = Worker(locks), Worker(locks)

    async def work(name, where):
        await where.acquire(KEY)
        order.append(name)
        await asyncio.sleep(0)
        where.release(KEY)

    await locks.acquire(KEY)
    tasks = []
    for name, where in (("a", one.locks), ("b", locks), ("c", two.locks), ("d", one.locks), ("e", locks)):
        tasks.append(asyncio.create_task(work(name, where)))
        await settle()
    assert order == []
    locks.release(KEY)
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c", "d", "e"]
    assert len(locks) == 0


async def test_other_keys_do_not_wait():
    """Two assets do not know each other, in one worker and over two."""
    locks = KeyedLocks()
    one, two = Worker(locks), Worker(locks)
    await asyncio.wait_for(one.locks.acquire(KEY), 60)
    await asyncio.wait_for(one.locks.acquire(OTHER), 60)
    waiting = asyncio.create_task(two.locks.acquire(KEY))
    await settle()
    assert not waiting.done()
    one.locks.release(KEY)
    await asyncio.wait_for(waiting, 60)


@pytest.mark.parametrize("granted", [False, True], ids=["while-waiting", "after-the-turn-came"])
async def test_a_cancelled_waiter_leaves_nothing_behind(granted):
    """Whoever is cancelled passes the turn on, also when it had just come."""
    locks = KeyedLocks()
    one, two = Worker(locks), Worker(locks)
    await locks.acquire(KEY)
    first = asyncio.create_task(one.locks.acquire(KEY))
    await settle()
    second = asyncio.create_task(two.locks.acquire(KEY))
    await settle()
    if granted:
        locks.release(KEY)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    if not granted:
        locks.release(KEY)
    await asyncio.wait_for(second, 60)
    two.locks.release(KEY)
    await settle()
    assert len(locks) == 0


async def test_what_a_dead_worker_held_or_awaited_is_the_next_ones():
    """It dies holding one key and standing in line for another."""
    locks = KeyedLocks()
    one, two = Worker(locks), Worker(locks)
    await locks.acquire(OTHER)
    await one.locks.acquire(KEY)
    lost = asyncio.create_task(one.locks.acquire(OTHER))
    await settle()
    next_one = asyncio.create_task(two.locks.acquire(KEY))
    behind = asyncio.create_task(two.locks.acquire(OTHER))
    await settle()
    one.die()
    await asyncio.wait_for(next_one, 60)
    locks.release(OTHER)
    await asyncio.wait_for(behind, 60)
    for key in (KEY, OTHER):
        two.locks.release(key)
    await settle()
    assert len(locks) == 0
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)


@pytest.mark.parametrize("message", [Wanted(1, KEY), Returned(7)], ids=["ticket-twice", "ticket-nobody-has"])
async def test_a_worker_out_of_step_is_refused_and_changes_nothing(message):
    """ValueError ends the conversation; the lock stays where it is."""
    locks = KeyedLocks()
    keeper = Keeper(locks, lambda _: None)
    keeper.want(Wanted(1, KEY))
    await settle()
    with pytest.raises(ValueError, match="ticket"):
        (keeper.want if isinstance(message, Wanted) else keeper.give_back)(message)
    assert len(locks) == 1


async def test_no_turn_comes_from_a_house_that_is_gone():
    """Who waits and who comes later cannot tell, and the answer is no."""
    locks = RemoteLocks(lambda _: None)
    waiting = asyncio.create_task(locks.acquire(KEY))
    await settle()
    locks.gone()
    for each in (waiting, asyncio.create_task(locks.acquire(OTHER))):
        with pytest.raises(CannotTell):
            await each


async def test_a_turn_that_nobody_waits_for_changes_nothing():
    """A late grant after giving up was returned already."""
    locks = RemoteLocks(lambda _: None)
    locks.granted(Granted(5))
    assert locks._held == {}
