"""The same IMAP conversation with us and with Debian's Dovecot on equal mailboxes: the same answers, but for wording, order of independent lines and numbers
that have to differ. What we answer otherwise on purpose is listed in DIFFERENT with its reason."""
import os
import pwd
import re
import shutil
import socket
import sys
import time

from _peers import DovecotPeer
from harness import Postcot, main

MULTIPART = b"""From: "Kim, Min" <kim@example.com>
To: undisclosed-recipients:;
Cc: Lee <lee@example.com>, "Quoted \\"Name\\"" <q@example.net>, plain@example.org
Subject: =?utf-8?B?7Iuc7ZeY?= and more
Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
Message-ID: <multi@example.com>
In-Reply-To: <one@example.com>
References: <one@example.com> <two@example.com>
Reply-To: reply@example.com
Sender: sender@example.com
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

\xec\x95\x88\xeb\x85\x95 plain
second line
--inner
Content-Type: text/html; charset=us-ascii
Content-Transfer-Encoding: quoted-printable

<p>html =3D</p>
--inner--

--outer
Content-Type: message/rfc822
Content-Description: a letter

From: in@example.com
To: side@example.com
Subject: inside
Content-Type: multipart/mixed; boundary=deep

--deep

deep text
--deep
Content-Type: application/octet-stream; name="x.bin"
Content-Disposition: attachment; filename="x.bin"; size=3
Content-Transfer-Encoding: base64
Content-ID: <part@id>
Content-Language: en, ko
Content-Location: http://example.com/x
Content-MD5: Q2hlY2s=

eHh4
--deep--
--outer--
epilogue
"""
SIMPLE = b"""From: Fred Foobar <foobar@Blurdybloop.example>
To: mooch@owatagu.example
Subject: afternoon meeting
Date: Mon, 7 Feb 1994 21:52:25 -0800
Message-Id: <B27397-0100000@Blurdybloop.example>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

Hello Joe, do you think we can meet at 3:30 tomorrow?
"""
BARE = b"no header at all\n\nbody\n"
KOREAN = "From: 김 <kim@example.com>\nSubject: 한글 제목\nDate: bad date\n\n한글 본문\n".encode()
REPLY = b"""From: a@b.c
To: d@e.f
Subject: Re: afternoon meeting
Date: Tue, 8 Feb 1994 01:00:00 +0900
Message-ID: <reply@example.com>
References: <B27397-0100000@Blurdybloop.example>

yes
"""
MESSAGES = [
    (SIMPLE, "", "07-Feb-1994 22:43:04 -0800"),
    (MULTIPART, "\\Seen", "17-Jul-1996 02:44:25 -0700"),
    (BARE, "\\Flagged \\Answered", "01-Jan-2001 00:00:00 +0000"),
    (KOREAN, "$Forwarded work", "31-Dec-2020 23:59:59 +0900"),
    (REPLY, "\\Draft", "29-Feb-2024 12:00:00 +0000"),
]

# One letter each; what is asked of them is in the conversation "mime".
NASTY = [
    b"From: a@b\nContent-Type: " + text
    for text in (
        b"text/plain; name*1=b; name*0=a\n\nx\n",
        b"text/plain; name*0*=utf-8''%e2; name*1*=%82%ac; name*2=x\n\nx\n",
        b"text/plain; name*0=a; name*2=c\n\nx\n",
        b"text/plain (c); (d) charset (e) = (f) utf-8 (g)\n\nx\n",
        b"message/rfc822\n\nSubject: in\nContent-Type: message/rfc822\n\nSubject: deep\n\nbody\n",
        b"multipart/mixed; boundary=x\n\nno boundary at all\n",
        b"multipart/mixed; boundary=x\n\n--x\n\n--x\n\nnever closed",
        b"multipart/mixed; boundary=x\n\n--xy\n\nprefix\n--x--junk\n--x\n\nepilogue\n",
        b"multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/alternative; boundary=xy\n\n--xy\n\na\n--xy--\n--x\n\nb\n--x--\n",
        b"multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/alternative; boundary=x\n\n--x\n\na\n--x--\n--x\n\nb\n--x--\n",
        b"multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x\nContent-Type: text/plain\n\nplain\n--x--\n",
        b"multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=y\n\n"
        b"--y\n\nin1\n--y\nContent-Type: message/rfc822\n\nSubject: in2\n\nb2\n--y--\n--x\n\nlast\n--x--\n",
        b"message/global\n\nSubject: x\n\nb\n",
    )
] + [
    b"Subject: Hello  beautiful\n world\nX-Folded: one\n\ttwo\n\nbody\n",
    b"garbage\nSubject: x\nmore garbage\n\nb",
    b"X",
    b"\nno header",
    b"Subject: no body",
] + [
    b"From: a@b\nContent-Type: " + text
    for text in (
        # Parameters end where their token or quote ends, whatever follows.
        b"text/plain; charset=utf-8 (comment); x\n\nx\n",
        b"text/plain; charset=utf-8 junk; name=a\n\nx\n",
        b"text/plain; charset=\"utf-8\"; name=\"a\" b; x=y\n\nx\n",
        b"text/plain; charset=utf-8; name=my file.txt\n\nx\n",
        b"multipart/mixed; boundary=\"b\" junk\n\n--b\n\none\n--b--\n",
        b"multipart/mixed; boundary=abc charset=utf-8\n\n--abc\n\none\n--abc--\n",
        b"multipart/mixed; boundary=abc\"\n\n--abc\n\none\n--abc--\n",
        b"multipart/mixed; boundary=abc,\n\n--abc\n\none\n--abc--\n",
        b"multipart/mixed; boundary=abc\n charset=utf-8\n\n--abc\n\none\n--abc--\n",
        b"multipart/mixed boundary=abc\n\n--abc\n\none\n--abc--\n",
        b"text/plain; a=b c=d; e=\"f\\\"g\"h\n\nx\n",
        b"text/plain; =x; y=; z\n\nx\n",
        b"text/plain; charset=us-ascii; charset=utf-8\n\nx\n",
        b"text/plain junk; charset=utf-8\n\nx\n",
        b"text; charset=utf-8\n\nx\n",
        b"text/; charset=utf-8\n\nx\n",
        b"/plain; charset=utf-8\n\nx\n",
        b"text/plain/more; charset=utf-8\n\nx\n",
        # RFC 2231: continuations of both kinds mixed, encoded ones that are none.
        "text/plain; name*0*=utf-8''%ED%95%9C; name*1=\"글 a\"; name*2*=%20b\n\nx\n".encode(),
        b"text/plain; name*0=\"a b\"; name*1*=%20c\n\nx\n",
        b"text/plain; name*=utf-8''%e2%82%acx\n\nx\n",
        b"text/plain; name*0*=utf-8''%e2%82; name*1=\"%ac\"\n\nx\n",
        b"text/plain; name*=abc\n\nx\n",
        b"text/plain; name*1*=%20b\n\nx\n",
        b"text/plain; name*0*=utf-8''a; name=plain\n\nx\n",
    )
] + [
    # Dovecot stops at the first address that is none; each stands alone here.
    b"From: " + address + b"\n\nbody\n"
    for address in (b"kim lee", b'"x" y@', b"<@a.b>", b"a b@c", b"<>", b"a", b"<b>", b"@c", b"d@", b'"q"', b'"q" <>', b"e@f g@h", b"<a@b> c@d", b"x <y@z> w",
                    b"(only)", b"a@b (n), (m) c@d", b'"a b"@c', b"a . b@c . d", b'a"b"@c', b"a.b.c", b"J. R. Doe <a@b>", b"J. Doe", b"g:;, h: i;", b"<@r,@s:a@b>", b"a@[1.2.3.4]",
                    b"kim lee, a@b", b"a b, c d, e@f")
]
# RFC 3516: what BINARY takes the encoding off; the fourth part has a NUL inside.
ENCODED = b"""Subject: encoded
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x

plain text
second
--x
Content-Transfer-Encoding: base64

aGVsbG8gd29ybGQ=
--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9 soft=
break
line2
--x
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

YWJjAGRlZg0KeHl6Cg==
--x
Content-Type: message/rfc822

Subject: in
Content-Transfer-Encoding: base64

aGVsbG8=
--x--
"""
# Octets with a lone LF, and a file's own line ends, in quoted-printable.
OCTETS = b"Subject: octets\nMIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: quoted-printable\n\n=89PNG=0AG=0D=0A=1A=00A=\nB\nC=0A\n"
REPORT = b"""Subject: report
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x

the text
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Status: 5.7.26
--x
Content-Type: text/rfc822-headers

Subject: original subject 4711
--x
Content-Type: message/disposition-notification
Content-Transfer-Encoding: base64

RGlzcG9zaXRpb246IHNob3duNTU=
--x--
"""
HTML = b"Subject: html\nContent-Type: text/html\n\n<html><body><p>Hello&amp; <b>World</b></p></body></html>\n"

FETCHES = """ALL FAST FULL FLAGS UID ENVELOPE BODY BODYSTRUCTURE INTERNALDATE RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[1.1]
BODY.PEEK[1.2] BODY.PEEK[1.MIME] BODY.PEEK[1.1.MIME] BODY.PEEK[2.MIME] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.1] BODY.PEEK[2.2] BODY.PEEK[2.2.MIME] BODY.PEEK[3] BODY.PEEK[1.1.1]
BODY.PEEK[]<0.10> BODY.PEEK[]<5.20> BODY.PEEK[]<100000.5> BODY.PEEK[TEXT]<0.5> BODY.PEEK[1]<2.3> RFC822.HEADER""".split()

# One conversation a list; SELECT INBOX comes first. {n+} literals are written as ('text', b'literal', 'text').
CONVERSATIONS = {
    "fetch": [f"FETCH 1:5 {item}" for item in FETCHES]
    + [
        "FETCH 1:5 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])",
        "FETCH 1:5 (BODY.PEEK[HEADER.FIELDS.NOT (Subject Received)])",
        "FETCH 2 (BODY.PEEK[2.HEADER.FIELDS (Subject)] BODY.PEEK[HEADER.FIELDS (To)]<3.7>)",
        "FETCH 2 (UID BODY.PEEK[1.1])",
        "UID FETCH 1:* (FLAGS)",
        "UID FETCH 3:2 (UID FLAGS)",
        "FETCH 4:* (FLAGS)",
        "FETCH *:4 (FLAGS)",
        "FETCH * (UID)",
        "FETCH 1,3,5 (UID)",
        "FETCH 1 (BODY[TEXT])",
        "FETCH 1 (FLAGS)",
        "FETCH 3 (RFC822)",
        "FETCH 4 (RFC822.TEXT)",
        "FETCH 9 (FLAGS)",
        "UID FETCH 99 (FLAGS)",
        "FETCH 1 (BOGUS)",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[1.2.HEADERS]",
        "FETCH 0 FLAGS",
        "FETCH 1:x FLAGS",
        "FETCH 1",
        "FETCH",
        "UID FETCH",
        "UID BOGUS",
    ],
    "search": [
        f"SEARCH {key}"
        for key in """ALL|ANSWERED|DELETED|DRAFT|FLAGGED|NEW|OLD|RECENT|SEEN|UNANSWERED|UNDELETED|UNDRAFT|UNFLAGGED|UNSEEN|KEYWORD work|UNKEYWORD work|KEYWORD $nonesuch|1|1:3|2,4:5|*|UID 1:2|UID 99
FROM kim|FROM "Kim, Min"|FROM Foobar|TO mooch|CC lee|BCC x|SUBJECT meeting|SUBJECT MEETING|SUBJECT "and more"|BODY Joe|BODY nothing|TEXT inside|TEXT meeting|HEADER Subject ""|HEADER Message-ID reply@|HEADER X-None ""
BEFORE 1-Jan-2000|ON 1-Jan-2001|SINCE 1-Jan-2001|SENTBEFORE 8-Feb-1994|SENTON 7-Feb-1994|SENTSINCE 8-Feb-1994|LARGER 300|SMALLER 300|NOT SEEN|OR SEEN FLAGGED|OR (SEEN) (NOT FLAGGED)|(1:3 UNSEEN)|NOT (1:2)
OLDER 100|YOUNGER 100|SINCE 01-jan-2001 BEFORE 1-Jan-2022|UNSEEN FLAGGED|NOT NOT SEEN|BOGUS|ON 99-Foo-2001|LARGER x|(ALL|OR SEEN|KEYWORD""".replace("\n", "|").split("|")
    ]
    + [
        "SEARCH CHARSET UTF-8 SUBJECT meeting",
        "SEARCH CHARSET US-ASCII SUBJECT meeting",
        "SEARCH CHARSET X-UNKNOWN SUBJECT meeting",
        ("SEARCH CHARSET UTF-8 SUBJECT {9}", "한글 ".encode()[:6] + "제".encode(), ""),
        ("SEARCH CHARSET UTF-8 TEXT {6}", "안녕".encode(), ""),
        ("SEARCH CHARSET UTF-8 BODY {6}", "한글".encode(), ""),
        "UID SEARCH ALL",
        "UID SEARCH 2:3",
        "SEARCH RETURN () UNSEEN",
        "SEARCH RETURN (MIN MAX COUNT ALL) ALL",
        "SEARCH RETURN (COUNT) DELETED",
        "SEARCH RETURN (ALL) DELETED",
        "UID SEARCH RETURN (MIN) SEEN",
        "SORT (DATE) UTF-8 ALL",
        "SORT (REVERSE DATE) UTF-8 ALL",
        "SORT (SUBJECT) UTF-8 ALL",
        "SORT (ARRIVAL) UTF-8 ALL",
        "SORT (SIZE) US-ASCII ALL",
        "SORT (FROM SUBJECT) UTF-8 ALL",
        "SORT (TO) UTF-8 ALL",
        "SORT (CC REVERSE SIZE) UTF-8 ALL",
        "UID SORT (REVERSE ARRIVAL) UTF-8 UNSEEN",
        "SORT (BOGUS) UTF-8 ALL",
        "SORT () UTF-8 ALL",
        "SORT (DATE) ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "THREAD REFS UTF-8 ALL",
        "THREAD ORDEREDSUBJECT UTF-8 ALL",
        "UID THREAD REFERENCES UTF-8 ALL",
        "THREAD BOGUS UTF-8 ALL",
    ],
    "store": [
        "STORE 1 FLAGS (\\Seen)",
        "STORE 1 +FLAGS (\\Deleted custom)",
        "STORE 1 +FLAGS \\Flagged",
        "STORE 1 -FLAGS (\\Seen)",
        "STORE 1:2 FLAGS.SILENT (\\Answered)",
        "FETCH 1:2 FLAGS",
        "UID STORE 2 +FLAGS (\\Seen)",
        "STORE 1 FLAGS ()",
        "STORE 1 +FLAGS (\\Recent)",
        "STORE 1 +FLAGS (\\Bogus)",
        "STORE 99 +FLAGS (\\Seen)",
        "UID STORE 99 +FLAGS (\\Seen)",
        "STORE 1 BOGUS (\\Seen)",
        "STORE 1",
        "STORE 3:4 +FLAGS (\\Deleted)",
        "UID EXPUNGE 4",
        "FETCH 1:* (UID FLAGS)",
        "EXPUNGE",
        "FETCH 1:* (UID FLAGS)",
        "EXPUNGE",
        "STORE 1 +FLAGS.SILENT (\\Deleted)",
        "CLOSE",
        "FETCH 1 FLAGS",
        "SELECT INBOX",
        "EXAMINE INBOX",
        "STORE 1 +FLAGS (\\Seen)",
        "EXPUNGE",
        "UNSELECT",
        "SELECT nonesuch",
        "FETCH 1 FLAGS",
    ],
    "folders": [
        'LIST "" ""',
        'LIST "" *',
        "CREATE a",
        "CREATE a.b.c",
        "CREATE a",
        "CREATE INBOX",
        "CREATE inbox",
        'CREATE "sp ace"',
        "CREATE trailing.",
        'CREATE ""',
        'LIST "" *',
        'LIST "" %',
        'LIST "" a.%',
        'LIST "a." %',
        'LIST "" A*',
        'LIST "" inbox',
        'LIST "" InBoX',
        'LIST "" nonesuch',
        'LIST "" "*.b*"',
        'LSUB "" *',
        "SUBSCRIBE a",
        "SUBSCRIBE a.b.c",
        "SUBSCRIBE nonesuch",
        'LSUB "" *',
        'LSUB "" %',
        'LSUB "" a.%',
        "UNSUBSCRIBE a",
        "UNSUBSCRIBE never",
        'LSUB "" *',
        'LIST (SUBSCRIBED) "" *',
        'LIST "" * RETURN (SUBSCRIBED CHILDREN)',
        'LIST "" (a* sp*) RETURN (CHILDREN)',
        'LIST (RECURSIVEMATCH SUBSCRIBED) "" %',
        'LIST (RECURSIVEMATCH) "" %',
        'LIST "" a RETURN (STATUS (MESSAGES UNSEEN))',
        'LIST (REMOTE) "" a',
        'LIST (SPECIAL-USE) "" *',
        "STATUS INBOX (MESSAGES RECENT UIDNEXT UNSEEN)",
        "STATUS a (MESSAGES)",
        "STATUS nonesuch (MESSAGES)",
        "STATUS INBOX (BOGUS)",
        "STATUS INBOX ()",
        "STATUS INBOX",
        "RENAME a x",
        'LIST "" *',
        "RENAME x INBOX",
        "RENAME nonesuch y",
        "RENAME x x",
        "RENAME x.b x.d",
        "DELETE x.d",
        'LIST "" x*',
        "DELETE x.d.c",
        "DELETE x",
        "DELETE nonesuch",
        "DELETE INBOX",
        'CREATE "&x-bad"',
        'CREATE "&vPSwuA-"',
        'LIST "" "&*"',
        'DELETE "sp ace"',
        "CREATE deep.er",
        "DELETE deep",
        "DELETE deep.er",
        'LIST "" deep*',
        "SELECT deep",
        "NAMESPACE",
    ],
    "copy": [
        "CREATE target",
        "COPY 1:2 target",
        "COPY 1 nonesuch",
        "COPY 99 target",
        "UID COPY 3 target",
        "UID COPY 99 target",
        "MOVE 1 target",
        "UID MOVE 5 target",
        "MOVE 99 target",
        "MOVE 1 nonesuch",
        "COPY 1:* INBOX",
        "FETCH 1:* (UID FLAGS)",
        "STATUS target (MESSAGES UIDNEXT UNSEEN)",
        "SELECT target",
        "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
        "COPY",
        "COPY 1",
        "MOVE 1",
    ],
    "append": [
        ("APPEND INBOX {10}", b"Subject: x", ""),
        ("APPEND INBOX (\\Seen key) {14}", b"Subject: y\r\n\r\n", ""),
        ('APPEND INBOX (\\Seen) "01-Jan-2020 10:11:12 +0200" {14}', b"Subject: z\r\n\r\n", ""),
        ('APPEND INBOX " 1-Jan-2020 10:11:12 +0200" {14}', b"Subject: z\r\n\r\n", ""),
        ("APPEND nonesuch {14+}", b"Subject: z\r\n\r\n", ""),
        ("APPEND INBOX (\\Bogus) {14+}", b"Subject: z\r\n\r\n", ""),
        ('APPEND INBOX "99-Foo-2020 10:11:12 +0200" {14+}', b"Subject: z\r\n\r\n", ""),
        ("APPEND INBOX {13+}", b"a\r\nb\r\nc\r\n\r\nde", ""),
        "NOOP",
        "FETCH 6:* (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])",
        "APPEND INBOX",
        "APPEND INBOX (\\Seen)",
        "CHECK",
        "EXAMINE INBOX",
        ("APPEND INBOX {14}", b"Subject: q\r\n\r\n", ""),
        "NOOP",
    ],
    "state": [
        "NOOP",
        "CAPABILITY X",
        "BOGUS",
        "LOGIN a b",
        "AUTHENTICATE PLAIN",
        "STARTTLS",
        "SELECT",
        "SELECT INBOX extra",
        "SELECT {5+}\r\nINBOX",
        'SELECT "INBOX"',
        "SELECT inbox",
        "select INBOX",
        "CLOSE",
        "CLOSE",
        "EXPUNGE",
        "CHECK",
        "SEARCH ALL",
        "IDLE\r\nDONE",
        "SELECT INBOX",
        "IDLE\r\nBOGUS",
        "ENABLE CONDSTORE",
        "ENABLE BOGUS",
        "ENABLE",
        "ID NIL",
        'ID ("name" "x" "version" "1")',
        "ID (",
        "NOOP extra",
        "",
        "   ",
        "UID",
        "LOGOUT",
    ],
    "grammar": [
        "UID FETCH 4294967295 FLAGS",
        "UID FETCH 4:4294967295 FLAGS",
        "UID FETCH 4294967296 FLAGS",
        "FETCH 4294967295 FLAGS",
        "FETCH  1  ( FLAGS  UID )  ",
        "FETCH 1 BODY.PEEK[1]<5>",
        "SEARCH SEEN  UNFLAGGED",
        "SEARCH UID 4:4294967295",
        "SEARCH LARGER 4294967296",
        "STORE 1 +FLAGS ( \\Seen )",
        "STATUS INBOX ( MESSAGES  UNSEEN )",
        "CREATE caf\xe9",
        "CREATE " + ".".join(["lll"] * 50),
        "CREATE InBox.below",
        'LIST "" InBox.%',
        'LIST "" inbox.below',
        "CREATE p.q",
        "CREATE p.r",
        "SUBSCRIBE p.q",
        'LSUB "" ""',
        'LSUB "" p',
        'LSUB "" %',
        "DELETE p.q",
        'LSUB "" *',
        ("APPEND INBOX {0+}", b"", ""),
        ("APPEND INBOX (\\Seen) {3+}", b"a\nb", " {0+}\r\n"),
        ("APPEND INBOX  ( \\Seen )  {3+}", b"a\nb", " "),
        ('APPEND INBOX "7-Jul-1996 02:44:25 -0700" {3+}', b"a\nb", ""),
        ('APPEND "" {3+}', b"a\nb", ""),
        "FETCH 6:* (FLAGS INTERNALDATE RFC822.SIZE)",
    ],
    "mime": [f"FETCH {n} {item}" for n in range(1, len(NASTY) + 1) for item in ("BODYSTRUCTURE", "BODY", "ENVELOPE")]
    + [
        f"FETCH {n} BODY.PEEK[{section}]"
        for n in (1, 5, 7, 8, 9, 10, 11, 12)
        for section in ("1", "2", "1.1", "1.2", "1.1.1", "1.2.1", "1.1.1.1", "1.MIME", "1.HEADER", "1.TEXT", "2.HEADER.FIELDS (Subject)", "1.1.MIME")
    ]
    + [
        'SEARCH SUBJECT "hello beautiful"',
        'SEARCH SUBJECT "beautiful world"',
        'SEARCH HEADER x-folded "one two"',
        'SEARCH TEXT "one two"',
        "SEARCH TEXT alternative",
        "SEARCH BODY alternative",
        "SEARCH TEXT garbage",
        *(f"SEARCH {key} {word}" for key in ("TEXT", "BODY") for word in ("5.7.26", "4711", "shown55", "Reporting-MTA", "mx.example.com")),
    ],
    # The server keeps the section open between pieces: on, back, past the end, another section and another letter in between, and after EXPUNGE.
    "pieces": [
        f"FETCH {n} BODY.PEEK[{section}]<{start}.{length}>"
        for n, section, start, length in (
            *((2, "", start, 100) for start in range(0, 1600, 100)),
            (2, "", 90, 30), (2, "", 120, 30), (2, "1", 0, 40), (2, "", 150, 30), (1, "", 150, 30), (2, "", 180, 30), (2, "TEXT", 180, 30), (2, "TEXT", 210, 9999), (2, "TEXT", 210, 20),
            (2, "HEADER.FIELDS (Subject To)", 0, 10), (2, "HEADER.FIELDS (Subject)", 10, 10), (2, "HEADER.FIELDS (Subject)", 20, 10), (2, "2.1", 0, 3), (2, "2.1", 3, 30), (2, "9", 0, 3), (2, "9", 3, 3),
        )
    ]
    + ["FETCH 1:2 (BODY.PEEK[]<0.20> BODY.PEEK[]<20.20>)", "FETCH 2 BODY.PEEK[]<40.20>", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "FETCH 1 BODY.PEEK[]<60.20>", "FETCH 2 BODY.PEEK[]<0.20>", "FETCH 1 BODY[]<80.20>"],
    "qresync": [
        "ENABLE QRESYNC",
        "SELECT INBOX",
        "STORE 2 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "STORE 1 +FLAGS (\\Seen)",
        "UID STORE 3 +FLAGS.SILENT (\\Draft)",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 3:4 (FLAGS) (VANISHED CHANGEDSINCE 1)",
        "UID FETCH 1:* (FLAGS) (VANISHED)",
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
        "STORE 1 +FLAGS (\\Deleted)",
        "UID EXPUNGE 1",
        "CREATE t",
        "UID MOVE 3 t",
        "SELECT INBOX (QRESYNC (1 1 1:100))",
        "SELECT INBOX (QRESYNC (1 1 1:10 (1:2 3:4)))",
        "SELECT INBOX (QRESYNC (1 1 (1:2 3:4)))",
        "SELECT INBOX (CONDSTORE QRESYNC (1 1))",
    ],
    "binary": [f"FETCH 1 BINARY.PEEK[{part}]" for part in ("1", "2", "3", "4", "5.1", "7", "1.1", "4]<0.3>", "4]<4.100>", "2]<6>", "2]<100.1>")]
    + [f"FETCH 1 BINARY.SIZE[{part}]" for part in ("1", "2", "3", "4", "5.1", "7")]
    + [
        "FETCH 1 BINARY[1]",
        "FETCH 1 (FLAGS BINARY.SIZE[2] BINARY.PEEK[1])",
        "FETCH 3 (BINARY.PEEK[1] BINARY.SIZE[1])",
        "FETCH 1 BINARY",
        "FETCH 1:2 PREVIEW",
        "FETCH 2 (PREVIEW (LAZY) UID)",
        "FETCH 2 PREVIEW (BOGUS)",
        "FETCH 1 SAVEDATE",
        "SEARCH SAVEDBEFORE 1-Jan-2020",
        "SEARCH SAVEDSINCE 1-Jan-2020",
        "SEARCH SAVEDON 1-Jan-2020",
        ("APPEND INBOX ~{22+}", b"Subject: eight\r\n\r\nbody", ""),
        "FETCH 4 BODY.PEEK[]",
    ],
    "condstore": [
        "ENABLE CONDSTORE",
        "FETCH 1 (UID MODSEQ)",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)",
        "STORE 1:3 (UNCHANGEDSINCE 99999999999999) +FLAGS.SILENT (\\Deleted)",
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 99999999999999)",
        "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
        "SEARCH MODSEQ 1",
        "SEARCH MODSEQ 99999999999999",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "SELECT INBOX (CONDSTORE)",
        "STORE 1 (UNCHANGEDSINCE x) +FLAGS (\\Seen)",
        "UNSELECT",
        "SELECT INBOX (QRESYNC (1 1))",
    ],
}

# (conversation, command): why we answer otherwise on purpose.
DIFFERENT = {
    ("search", "SEARCH KEYWORD $nonesuch"): "asking for a keyword does not make it",
    ("search", "THREAD REFS UTF-8 ALL"): "the order of threads whose letters have no usable date",
    ("store", "STORE 1 +FLAGS (\\Seen)"): "an examined mailbox refuses what it will not do",
    ("store", "EXPUNGE"): "the same",
    ("folders", 'LIST (RECURSIVEMATCH SUBSCRIBED) "" %'): "RFC 5258 §6 quotes CHILDINFO",
    ("mime", "FETCH 14 ENVELOPE"): "a quoted string does where Dovecot writes a literal",
    ("mime", "FETCH 7 BODY.PEEK[1.MIME]"): "the empty line is the part's own though its boundary is missing",
    ("mime", "FETCH 7 BODY.PEEK[1.1.MIME]"): "the same",
    ("mime", "FETCH 22 BODYSTRUCTURE"): "a file's name with blanks and without quotes is common",
    ("mime", "FETCH 22 BODY"): "the same",
    **{("mime", f"FETCH {n} {item}"): "what can be read of a Content-Type that is none" for n in (28, 32, 33, 34, 35, 36) for item in ("BODY", "BODYSTRUCTURE")},
    **{("mime", f"FETCH 29 {item}"): "a literal where Dovecot quotes a quote" for item in ("BODY", "BODYSTRUCTURE")},
    **{("mime", f"FETCH 30 {item}"): "RFC 2045 §5.1: a parameter has a name" for item in ("BODY", "BODYSTRUCTURE")},
    **{("mime", f"FETCH {n} {item}"): "RFC 2231 §4.1: a plain piece among encoded ones is encoded, so that the whole can be decoded" for n in (37, 38) for item in ("BODY", "BODYSTRUCTURE")},
    ("mime", "FETCH 46 ENVELOPE"): "the domain of <@a.b> is shown, as that of @a.b",
    ("mime", "FETCH 56 ENVELOPE"): "an address that stands behind another one is shown",
    ("mime", "FETCH 57 ENVELOPE"): "the same",
    ("mime", "FETCH 65 ENVELOPE"): "a quoted string does where Dovecot writes a literal",
    ("mime", "FETCH 61 ENVELOPE"): "RFC 5322 §4.4: white space around dots",
    ("append", 'APPEND INBOX "99-Foo-2020 10:11:12 +0200" {14+}'): "Dovecot takes the literal of a refused APPEND for commands",
    ("append", "APPEND INBOX {13+}"): "the rest of that",
    ("state", "CAPABILITY X"): "RFC 3501 §9: no arguments",
    ("state", "NOOP extra"): "the same",
    ("state", "ENABLE"): "RFC 5161 §3.1: at least one capability",
    ("state", "ENABLE BOGUS"): "RFC 5161 §3.2: ENABLED comes even when nothing was",
    ("state", "SELECT"): "a command that cannot be read does not close the mailbox",
    ("state", "SELECT INBOX extra"): "RFC 4466 §2.1: parameters stand in parentheses",
}
# Codes that one of the two adds to a plain NO or OK, and what RFC 7162 §3.1.2.1 wants of SELECT but Dovecot says only after ENABLE.
FREE_CODES = (" [NONEXISTENT]", " [CANNOT]", " [CLIENTBUG]")
FREE_LINE = "* OK [HIGHESTMODSEQ N]"


class Wire:
    """A raw connection; answers come back as normalised lines."""

    def __init__(self, port, user, password):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.data = b""
        self.number = 0
        self.line()
        assert self.say(f"LOGIN {user} {password}")[-1].startswith("OK"), "login"

    def line(self):
        """One response line with its literals inside."""
        out = b""
        while True:
            while b"\r\n" not in self.data:
                got = self.socket.recv(65536)
                if not got:
                    return out + self.data + b"<closed>"
                self.data += got
            text, self.data = self.data.split(b"\r\n", 1)
            out += text
            literal = re.search(rb"\{(\d+)\}$", text)
            if not literal:
                return out
            size = int(literal[1])
            while len(self.data) < size:
                self.data += self.socket.recv(65536)
            out += b"\r\n" + self.data[:size]
            self.data = self.data[size:]

    def say(self, command):
        self.number += 1
        tag = b"t%d" % self.number
        parts = [part if isinstance(part, bytes) else part.encode() for part in (command if isinstance(command, tuple) else (command,))]
        self.socket.sendall(tag + b" " + parts[0] + b"\r\n")
        answers = []
        rest = parts[1:]
        if rest and parts[0].endswith(b"+}"):
            self.socket.sendall(b"".join(rest) + b"\r\n")
            rest = []
        while True:
            line = self.line()
            if line.startswith(tag + b" ") or line.endswith(b"<closed>"):
                answers.append(normal(line.removeprefix(tag + b" ")))
                return answers
            if line.startswith(b"+") and rest:
                self.socket.sendall(b"".join(rest) + b"\r\n")
                rest = []
                continue
            if line.startswith(b"* BAD") and not parts[0].strip():
                return [normal(line)]
            answers.append(normal(line))


def normal(line):
    text = line.decode(errors="backslashreplace")
    text = re.sub(r"(UIDVALIDITY|APPENDUID|COPYUID|HIGHESTMODSEQ|MODSEQ \(?)( ?)\d+", r"\1\2N", text)
    text = re.sub(r"\[(HIGHESTMODSEQ|UIDVALIDITY) \w+\]", r"[\1 N]", text)
    text = re.sub(rf'(INTERNALDATE|SAVEDATE) "\d\d-{time.strftime("%b-%Y")} [^"]*"', r"\1 now", text)   # the two are not asked in the same second
    text = re.sub(r"~\{(\d+)\}", r"{\1}", text)   # literal8: Dovecot writes all decoded parts so
    # Wording is free; the response code and its arguments are not.
    found = re.match(r"^(\* )?(OK|NO|BAD|BYE|PREAUTH)( \[[^\]]*\])?", text)
    if found:
        code = found[3] or ""
        if code in FREE_CODES:
            code = ""
        if code.startswith(" [CAPABILITY") or code.startswith(" [BADCHARSET"):
            code = " " + code.split(" ")[1].rstrip("]") + "]"
        return f"{found[1] or ''}{found[2]}{code}"
    if text.startswith("+"):
        return "+"
    if text.startswith("* CAPABILITY") or text.startswith("* ID"):
        return " ".join(text.split()[:2])
    return text


def sameness(answers):
    """Order of untagged answers before the tagged one is free where the commands' data are independent."""
    return sorted(line for line in answers[:-1] if line != FREE_LINE) + answers[-1:]


def test_the_same_answers():
    wanted = sys.argv[1:] or list(CONVERSATIONS)
    with Postcot(users=len(CONVERSATIONS), dovecot_conf="") as server:
        # Both start from folders that are empty: the quickstart's special folders would differ.
        conf = server.etc / "dovecot/dovecot.conf"
        conf.write_text(re.sub(r"  mailbox .*?\n  \}\n", "", conf.read_text(), flags=re.S))
        server.stop()
        server.start()
        owner = pwd.getpwuid((server.state / "mail").stat().st_uid)
        home = server.state / "dovecot-homes"
        home.mkdir()
        users = {}
        for name in CONVERSATIONS:
            (home / name).mkdir()
            shutil.chown(home / name, owner.pw_name)
            users[name] = ("pass", owner.pw_uid, owner.pw_gid, home / name)
        with DovecotPeer(users) as dovecot:
            different = 0
            for number, (name, commands) in enumerate(CONVERSATIONS.items(), 1):
                if name not in wanted:
                    continue
                theirs = Wire(dovecot.imap, name, "pass")
                ours = Wire(server.imap, f"test{number}@example.com", "pass")
                own = {"mime": [*NASTY, REPORT], "binary": [ENCODED, HTML, OCTETS]}.get(name)
                letters = [(content, "", "01-Jan-2020 00:00:00 +0000") for content in own] if own else MESSAGES
                for content, flags, date in letters:
                    content = content.replace(b"\n", b"\r\n")
                    for wire in (theirs, ours):
                        answers = wire.say((f'APPEND INBOX ({flags}) "{date}" {{{len(content)}}}', content, ""))
                        assert answers[-1].startswith("OK"), answers
                for command in ["SELECT INBOX", *commands]:
                    expected, got = theirs.say(command), ours.say(command)
                    if sameness(expected) != sameness(got) and (name, command[0] if isinstance(command, tuple) else command) not in DIFFERENT:
                        different += 1
                        print(f"--- {name}: {command}")
                        for sign, lines, other in (("dovecot", expected, got), ("postcot", got, expected)):
                            for text in lines:
                                if text not in other or text == lines[-1]:
                                    print(f"    {sign}: {text[:600]!r}")
            assert not different, f"{different} commands are answered otherwise than by Dovecot"


main(test_the_same_answers)
