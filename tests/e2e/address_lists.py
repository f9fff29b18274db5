"""Address lists as people and programs write them, read by sendmail -t, sendmail's arguments and -f: the same recipients as from Debian's Postfix."""
import random
import re
import subprocess

from _peers import PostfixPeer
from harness import BIN, Postcot, main, run, wait_until

LISTS = 300
COMMON = "default_transport = discard:\nlocal_transport = discard:\nmyorigin = or.test\nmydestination = or.test\nlocal_recipient_maps =\nalias_maps =\n"

WORDS = ["a@x.test", "bob", "c.d@y.test", '"q r"@x.test', '"quoted"', "<e@x.test>", "Name <f@x.test>", '"Kim, A" <g@y.test>', "J. R. Doe <h@x.test>",
         "(comment) i@x.test", "j@x.test (trailing)", "k @ x.test", "<@r1:l@x.test>", "m%n@x.test", "grp: o@x.test, p@y.test;", "none:;", "x y",
         "q@[192.0.2.1]", "a b c@x.test", "<s@x.test> t@x.test", "u@x.test;", "v+ext@y.test", "W@X.TEST"]
JOINTS = [", ", ",", " , ", ",\n ", " ", "\n\t", ",, ", "; "]


def lists():
    dice = random.Random(20)
    for _ in range(LISTS):
        text = dice.choice(WORDS)
        for _ in range(dice.randrange(4)):
            word = dice.choice(WORDS)
            # Postfix takes all that stands before a group without a comma for the group's name, and drops it; we do not.
            text += dice.choice(JOINTS[:4] if ":" in word and "<" not in word else JOINTS) + word
        yield dice.choice(["To", "Cc", "Bcc"]), text


def recipients(log, sender):
    (queue_id,) = re.findall(rf"qmgr\[\d+\]: (\w+): from=<{sender}>", log)[:1] or [None]
    return sorted(set(re.findall(rf"{queue_id}: to=<(.*?)>, (?:orig_to=|relay=)", log)))


def finished(log):
    return len(re.findall(r"qmgr\[\d+\]: \w+: removed", log))


def test_generated_lists():
    cases = list(lists())
    with PostfixPeer(main_cf=COMMON) as postfix, Postcot(main_cf=COMMON) as ours:
        taken = 0
        wrong = []
        for number, (field, text) in enumerate(cases):
            letter = f"Subject: list\n{field}: {text}\n\nbody\n".encode()
            sender = f"case{number}@s.test"
            theirs = run("/usr/sbin/sendmail", "-C", postfix.etc, "-t", "-oi", "-f", sender, data=letter, check=False)
            mine = ours.sendmail("-t", "-oi", "-f", sender, data=letter, check=False)
            if (theirs.returncode == 0) != (mine.returncode == 0):
                wrong.append((text, mine.stderr, theirs.stderr[-100:]))
            taken += theirs.returncode == 0
        assert not wrong, "\n".join(map(repr, wrong[:10]))
        wait_until(lambda: finished(ours.log()) >= taken, "all of ours", 60)
        wait_until(lambda: subprocess.run(["postqueue", "-c", postfix.etc, "-f"], capture_output=True) and finished(postfix.log()) >= taken, "all of Postfix's", 60, 1)
        our_log, their_log = ours.log(), postfix.log()
        wrong = [(text, recipients(our_log, f"case{n}@s.test"), recipients(their_log, f"case{n}@s.test")) for n, (_, text) in enumerate(cases)
                 if recipients(our_log, f"case{n}@s.test") != recipients(their_log, f"case{n}@s.test")]
        assert not wrong, "\n".join(map(repr, wrong[:10])) + f"\n{len(wrong)} of {len(cases)} differ"
        print(f"{taken} lists taken, {len(cases) - taken} without a recipient")


SENDERS = ["Joe <e@x.test>", " e@x.test ", "e@x.test (J)", "Joe Doe", "a@x.test, b@x.test", "", "<>", "<e@x.test>", "e"]


def test_senders_and_arguments():
    with PostfixPeer(main_cf=COMMON) as postfix, Postcot(main_cf=COMMON) as ours:
        for number, sender in enumerate(SENDERS):
            arguments = ["-oi", "-f", sender, f"n{number}a@x.test n{number}b@x.test", f"n{number}c@x.test,<n{number}d@x.test>"]
            run("/usr/sbin/sendmail", "-C", postfix.etc, *arguments, data=b"Subject: s\n\nbody\n")
            ours.sendmail(*arguments, data=b"Subject: s\n\nbody\n")
        for server in (postfix, ours):
            tool = ["postqueue", "-c", postfix.etc, "-f"] if server is postfix else [BIN / "postqueue", "-c", ours.etc / "postfix", "-f"]
            wait_until(lambda: subprocess.run(tool, capture_output=True) and finished(server.log()) >= len(SENDERS), "all", 60, 1)
        facts = []
        for log in (postfix.log(), ours.log()):
            senders = sorted(re.findall(r"qmgr\[\d+\]: \w+: from=<(.*?)>, size", log))
            facts.append((senders, sorted(re.findall(r" to=<(.*?)>, relay", log))))
        assert facts[0] == facts[1], facts
        assert len(facts[0][1]) == 4 * len(SENDERS), facts


if __name__ == "__main__":
    main(test_generated_lists, test_senders_and_arguments)
