"""One bad thing is set aside, not met again: messages whose text is gone, notices that cannot be made, a journal with a flipped bit."""
import json
import pathlib
import re

from harness import BIN, Postcot, free_port, main, run, wait_until

BIG = b"From: user01@example.com\nTo: user02@example.com\nSubject: big\n\n" + b"a line of the big letter\n" * 12000
SMALL = b"From: user01@example.com\nTo: user02@example.com\nSubject: small\n\nsmall letter\n"


def ids(server):
    return [json.loads(line)["queue_id"] for line in server.tool("postqueue", "-j").stdout.splitlines()]


def test_a_message_without_its_text_goes_to_corrupt_and_all_else_goes_on():
    with Postcot(main_cf="defer_transports = virtual\nerror_notice_recipient = user01@example.com\n") as server:
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=BIG)
        wait_until(lambda: server.log().count("status=deferred") == 1, "deferred")
        (bad,) = ids(server)
        server.sendmail("-f", "user01@example.com", "user02@example.com", data=SMALL)
        wait_until(lambda: server.log().count("status=deferred") == 2, "both deferred")
        (server.state / "spool/large" / bad).unlink()
        server.tool("postconf", "-e", "defer_transports =")
        server.tool("postfix", "reload")
        server.tool("postqueue", "-f")
        server.wait_for_mail("user02", 1)
        notice = pathlib.Path(server.wait_for_mail("user01", 1)[0]).read_text()
        assert f"corrupt/{bad}" in notice and "<user02@example.com>" in notice, notice
        server.wait_for_empty_queue()
        server.wait_for_log(rf"qmgr\[\d+\]: warning: {bad}: message cannot be read: .*: moved to corrupt/{bad}")
        kept = (server.state / "spool/corrupt" / bad).read_bytes()
        assert b"user02@example.com" in kept and b"Subject: big" in kept, kept[:500]
        said = run(BIN / "postcot", "check", "-c", server.etc, check=False).stderr.decode()
        assert re.search(rf"corrupt: 1 file was set aside, since it could not be read: {bad}", said), said


def test_a_notice_that_cannot_be_made_is_made_later():
    with Postcot(main_cf=f"relayhost = [127.0.0.1]:{free_port()}\nminimal_backoff_time = 2s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n") as server:
        server.sendmail("-f", "user01@example.com", "someone@far.test", data=SMALL)
        wait_until(lambda: server.log().count("status=deferred") >= 1, "deferred")
        (waiting,) = ids(server)
        server.tool("postconf", "-e", "virtual_alias_maps = fail:no", "maximal_queue_lifetime = 0")
        server.tool("postfix", "reload")
        server.tool("postqueue", "-f")
        server.wait_for_log(rf"bounce\[\d+\]: warning: {waiting}: cannot make a notification to <user01@example.com>: .*: it is tried again")
        assert ids(server) == [waiting]
        server.stop()   # and over a restart
        server.start()
        assert ids(server) == [waiting]
        server.tool("postconf", "-e", "virtual_alias_maps =")
        server.tool("postfix", "reload")
        server.tool("postqueue", "-f")
        text = pathlib.Path(server.wait_for_mail("user01", 1)[0]).read_text()
        assert "<someone@far.test>" in text and "Subject: small" in text, text
        server.wait_for_empty_queue()
        assert server.log().count("sender non-delivery notification") == 1


def test_a_flipped_bit_in_the_journal_costs_one_message():
    with Postcot(main_cf=f"relayhost = [127.0.0.1]:{free_port()}\n") as server:
        queued = []
        for _ in range(3):
            server.sendmail("-f", "user01@example.com", "someone@far.test", data=SMALL)
            wait_until(lambda: len(ids(server)) == len(queued) + 1, "queued")
            queued += [i for i in ids(server) if i not in queued]
        wait_until(lambda: server.log().count("status=deferred") >= 3, "deferred")
        server.stop()
        for index in (server.state / "spool/index").iterdir():
            index.unlink()   # as after a power loss: the journal is all there is
        (segment,) = (server.state / "spool/journal").glob("*.seg")
        content = bytearray(segment.read_bytes())
        at = content.index(queued[1].encode())
        content[at + 20] ^= 4
        segment.write_bytes(content)
        server.start()
        assert set(ids(server)) == {queued[0], queued[2]}, (queued, ids(server))
        server.wait_for_log(rf"queue journal .*/{segment.name}: checksum is wrong: octets \d+ to \d+ are passed over")
        assert (server.state / f"spool/corrupt/journal-{segment.name}").read_bytes() == bytes(content)
        assert "set aside" in run(BIN / "postcot", "check", "-c", server.etc, check=False).stderr.decode()


if __name__ == "__main__":
    main(test_a_message_without_its_text_goes_to_corrupt_and_all_else_goes_on, test_a_notice_that_cannot_be_made_is_made_later,
         test_a_flipped_bit_in_the_journal_costs_one_message)
