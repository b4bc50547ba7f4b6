"""Jobs at the desk: the newest of a session, bounded in all, errors told."""

import asyncio
import threading

import pytest

from discrete_ca.server.jobs import Busy, Cancelled, Desk, Ended, Frame, Mailbox


class Look:
    def designs(self):
        return [0]


def endless(begun):
    def draw(watch):
        begun.set()
        while True:
            watch(Look())

    return draw


async def end_of(mailbox):
    while isinstance(news := await mailbox.get(), Frame):
        pass
    return news


def test_the_newest_wins_and_the_old_one_ends_first():
    async def story():
        desk, begun, order = Desk(4), threading.Event(), []
        first, second = Mailbox(), Mailbox()
        desk.begin("a", endless(begun), lambda x: x, first, lambda: order.append("first"))
        await asyncio.to_thread(begun.wait, 5)
        desk.begin("a", lambda watch: order.append("second"), lambda x: 7, second)
        assert (await end_of(second)).result == 7
        assert isinstance((await end_of(first)).error, Cancelled)
        assert order == ["first", "second"] and len(desk) == 0
        desk.stop()

    asyncio.run(story())


def test_what_yields_is_given_up_while_a_drawing_is_at_work():
    async def story():
        desk, begun = Desk(4), threading.Event()
        drawing, measurement, after = Mailbox(), Mailbox(), Mailbox()
        desk.begin("a", endless(begun), lambda x: x, drawing)
        assert await asyncio.to_thread(begun.wait, 5)
        desk.begin("a", lambda watch: 1, lambda x: x, measurement, yields=True)
        gave_way = (await end_of(measurement)).error
        assert isinstance(gave_way, Cancelled) and gave_way.for_drawing
        assert isinstance(await drawing.get(), Frame)  # goes on
        desk.cancel("a")
        desk.begin("a", lambda watch: 2, lambda x: x, after, yields=True)  # waits for its end
        assert (await end_of(after)).result == 2
        assert isinstance((await end_of(drawing)).error, Cancelled) and len(desk) == 0
        desk.stop()

    asyncio.run(story())


def test_the_newest_measurement_wins_and_gives_way_to_a_drawing():
    async def story():
        desk, boxes = Desk(4), [Mailbox() for _ in range(3)]
        begun = [threading.Event() for _ in range(2)]
        for box, start in zip(boxes, begun, strict=False):
            desk.begin("a", endless(start), lambda x: x, box, yields=True)
            assert await asyncio.to_thread(start.wait, 5)
        gave_way = (await end_of(boxes[0])).error
        assert isinstance(gave_way, Cancelled) and not gave_way.for_drawing  # asks no more
        desk.begin("a", lambda watch: 3, lambda x: x, boxes[2])
        gave_way = (await end_of(boxes[1])).error
        assert isinstance(gave_way, Cancelled) and gave_way.for_drawing
        assert (await end_of(boxes[2])).result == 3
        desk.stop()

    asyncio.run(story())


def test_sessions_draw_side_by_side_up_to_a_bound():
    async def story():
        desk = Desk(3)
        boxes, starts = [Mailbox() for _ in range(3)], [threading.Event() for _ in range(3)]
        for i in range(3):
            desk.begin(str(i), endless(starts[i]), lambda x: x, boxes[i])
        for start in starts:
            assert await asyncio.to_thread(start.wait, 5)
        with pytest.raises(Busy, match="allowed: 3"):
            desk.begin("3", endless(threading.Event()), lambda x: x, Mailbox())
        assert desk.cancel("1") and not desk.cancel("9")
        assert isinstance((await end_of(boxes[1])).error, Cancelled)
        again = Mailbox()
        desk.begin("3", lambda watch: 1, lambda x: x + 1, again)
        assert (await end_of(again)).result == 2
        await asyncio.to_thread(desk.stop)
        assert len(desk) == 0

    asyncio.run(story())


def test_errors_are_told():
    async def story():
        desk, mailbox, released = Desk(2), Mailbox(), []

        def fails(watch):
            raise ValueError("no")

        desk.begin("a", fails, lambda x: x, mailbox, lambda: released.append(1))
        end = await end_of(mailbox)
        assert isinstance(end, Ended) and str(end.error) == "no" and released == [1]
        desk.stop()

    asyncio.run(story())


def test_of_frames_that_wait_the_newest_stays():
    async def story():
        mailbox = Mailbox()
        for done in range(5):
            mailbox.put(Frame(done, []))
        await asyncio.sleep(0)
        assert (await mailbox.get()).done == 4
        mailbox.put(Frame(5, []))
        mailbox.put(Ended(1))
        await asyncio.sleep(0)
        assert (await mailbox.get()).result == 1

    asyncio.run(story())
