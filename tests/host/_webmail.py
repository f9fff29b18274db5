"""Roundcube as people use it: user02 reads the mail of the guide, answers it, keeps order; user01 reads the answer. In Chromium on desk.example.com."""
import re

from _browser import ENTER, Browser
from _peer import letter, letters, send
from _setup import PASSWORDS, SUBJECT

URL = "http://mail.example.com/roundcube/"
ROWS = "#messagelist tbody tr"
ATTACHMENT, CONTENT = "보고서.bin", bytes(range(256)) * 400
FOLDER, FOLDER_UTF7 = "프로젝트", "&1QS4XMgd0rg-"
# What Apache says of its own starts and stops.
APACHE_NOTICES = re.compile(r":notice\]")


class Webmail:
    def __init__(self, mail, desk):
        self.mail, self.desk = mail, desk
        self.browser = None

    def sign_in(self, user):
        browser = self.browser
        browser.open(URL)
        browser.type("#rcmloginuser", user)
        browser.type("#rcmloginpwd", PASSWORDS[user])
        browser.click("#rcmloginsubmit")
        browser.find("#messagelist")
        self.settled()

    def sign_out(self):
        self.browser.frame()
        self.browser.click("a.logout")
        self.browser.find("#rcmloginuser")

    def wait_for_rows(self, count, timeout=40):
        self.browser.wait_for(f"[...document.querySelectorAll('{ROWS}')].filter(row => row.offsetHeight).length == {count}", f"{count} messages in the list", timeout)

    def folder(self, name):
        self.browser.frame()
        self.settled()
        self.browser.click(f"#mailboxlist a[rel='{name}']")
        self.browser.wait_for(f"rcmail.env.mailbox == {name!r} && !rcmail.busy", f"folder {name}")

    def settled(self):
        self.browser.wait_for("document.readyState == 'complete' && window.rcmail && rcmail.env.mailbox && !rcmail.busy && !document.querySelector('#messagestack .loading')", "Roundcube is idle")

    # --- the steps
    def log_in(self):
        self.browser = Browser(self.desk, self.desk.lab.output / "pictures")
        self.browser.open(URL)
        self.browser.picture("1-login")
        # A wrong password is refused in words, and is in our log.
        self.browser.type("#rcmloginuser", "user02")
        self.browser.type("#rcmloginpwd", "wrong")
        self.browser.click("#rcmloginsubmit")
        self.browser.wait_for_text("#messagestack", "Login failed")
        self.mail.wait_for_log(r"dovecot: imap-login: .*\(auth failed, 1 attempts in \d+ secs\): user=<user02>, method=PLAIN")
        self.sign_in("user02")
        self.browser.wait_for_text(ROWS, SUBJECT)
        self.browser.picture("2-inbox")

    def open_the_mail(self):
        self.browser.click(f"{ROWS} td.subject a")
        self.browser.frame("#messagecontframe")
        self.browser.wait_for_text("#messagebody", "테스트 메일 본문입니다.")
        assert self.browser.text("h2.subject").startswith(SUBJECT)
        self.browser.frame()
        self.browser.picture("3-message")

    def reply_with_attachment(self):
        path = f"/root/{ATTACHMENT}"
        self.desk.path(path).write_bytes(CONTENT)
        self.browser.click("a.reply:not(.disabled)")
        self.browser.type("#composebody", "답장 본문입니다.\n")
        self.browser.type("#uploadformInput", path)
        self.browser.wait_for_text("#attachment-list li", ATTACHMENT)
        self.browser.wait_for("!document.querySelector('#attachment-list li.uploading')", "the file is up")
        self.browser.picture("4-reply")
        self.browser.click("button.send")
        self.browser.find("#messagelist")
        self.settled()
        found = letter(self.mail, "user01", f"Re: {SUBJECT}")
        [part] = found.iter_attachments()
        assert part.get_filename() == ATTACHMENT and part.get_content() == CONTENT, found
        assert str(found["From"]) == "user02 <user02@example.com>", found["From"]
        # A copy is in Sent, and the original is marked as answered.
        [copy] = letters(self.mail, "user02", "Maildir/.Sent")
        assert copy["Message-ID"] == found["Message-ID"]
        self.folder("Sent")
        self.wait_for_rows(1)
        self.folder("INBOX")
        self.browser.find(f"{ROWS} .msgicon.replied")

    def create_a_folder(self):
        self.browser.click("a.settings")
        self.browser.click("#settings-menu li.folders a, li#settingstabfolders a, a#settingstabfolders, li.folders a")
        self.browser.click("a.create:not(.disabled)")
        self.browser.frame("#preferences-frame")
        self.browser.type("input[name=_name]", FOLDER)
        self.browser.click("button.submit")
        self.browser.frame()
        self.browser.wait_for_text("#subscription-table", FOLDER)
        self.browser.picture("5-folder")
        assert self.mail.path(f"/home/user02/Maildir/.{FOLDER_UTF7}").is_dir()
        assert FOLDER_UTF7 in self.mail.read("/home/user02/Maildir/subscriptions").split()
        self.browser.click("a.mail")
        self.browser.wait_for_text("#mailboxlist", FOLDER)
        self.settled()

    def new_mail_comes(self):
        """Without a reload: the check that Roundcube makes on its own, here by its button."""
        for number in (1, 2, 3):
            send(self.mail, "user01", "user02@example.com", f"order {number}", f"body of {number}\n")
            letter(self.mail, "user02", f"order {number}")
        self.browser.click("a.refresh:not(.disabled)")
        self.wait_for_rows(4)
        self.settled()

    def select(self, subject):
        self.browser.script("[...document.querySelectorAll(arguments[0])].find(row => row.offsetHeight && row.innerText.includes(arguments[1])).querySelector('td.subject .subject a').id = 'wanted';",
                            ROWS, subject)
        self.browser.click("#wanted")
        self.browser.script("document.querySelector('#wanted').removeAttribute('id')")
        self.browser.wait_for(f"document.querySelector('#messagelist tr.selected') && document.querySelector('#messagelist tr.selected').innerText.includes('{subject}')",
                              f"'{subject}' is selected")
        self.browser.frame("#messagecontframe")
        self.browser.wait_for_text("h2.subject", subject)
        self.browser.frame()
        self.settled()

    def flag(self):
        self.select("order 1")
        self.browser.click("a.markmessage:not(.disabled)")
        self.browser.click("#markmessage-menu a.flag:not(.disabled)")
        self.browser.find("#messagelist tr.flagged")
        self.settled()
        self.browser.picture("6-flagged")
        names = [file.name for file in self.mail.path("/home/user02/Maildir/cur").iterdir() if "Subject: order 1" in file.read_text(errors="replace")]
        assert names[0].endswith(":2,FS"), names

    def search(self):
        """In subjects as it comes, then in bodies, and for words that are not ASCII."""
        for scope, words, hit in ((None, "order 2", "order 2"), ("body", "body of 3", "order 3"), ("body", "메일 본문", SUBJECT), ("subject", "메일 제목", SUBJECT)):
            if scope:
                if not self.browser.script("return document.querySelector('.searchbar').classList.contains('open')"):
                    self.browser.click(".searchbar a.options")
                self.browser.script("document.querySelectorAll('#searchmenu input:checked').forEach(box => box.click())")
                self.browser.click(f"#searchmenu input[value={scope}] + label")
            self.browser.type("#mailsearchform", words + ENTER)
            self.wait_for_rows(1)
            assert hit in self.browser.text(ROWS), self.browser.text(ROWS)
            self.settled()
            self.browser.picture("7-search")
            self.browser.click(".searchbar a.reset")
            self.wait_for_rows(4)
            self.settled()

    def move(self):
        self.select("order 2")
        self.browser.click("a.more:not(.disabled)")
        self.browser.click("#message-menu a.move:not(.disabled)")
        self.browser.find("#folder-selector a")
        self.browser.script("[...document.querySelectorAll('#folder-selector a')].find(link => link.innerText.includes(arguments[0])).id = 'target'", FOLDER)
        self.browser.click("#target")
        self.wait_for_rows(3)
        self.folder(FOLDER_UTF7)
        self.wait_for_rows(1)
        self.browser.wait_for_text(ROWS, "order 2")
        self.browser.picture("8-moved")
        assert [found["Subject"] for found in letters(self.mail, "user02", f"Maildir/.{FOLDER_UTF7}")] == ["order 2"]
        self.folder("INBOX")
        self.wait_for_rows(3)

    def delete(self):
        """The first deletion moves to Trash, the second ends it."""
        self.select("order 3")
        self.browser.click("a.delete:not(.disabled)")
        self.wait_for_rows(2)
        self.settled()
        assert [found["Subject"] for found in letters(self.mail, "user02", "Maildir/.Trash")] == ["order 3"]
        self.browser.click("a.mail")   # Roundcube shows the new folder with the next page
        self.browser.wait_for_text("#mailboxlist", "Trash")
        self.folder("Trash")
        self.wait_for_rows(1)
        self.select("order 3")
        self.browser.click("a.delete:not(.disabled)")
        self.wait_for_rows(0)
        self.settled()
        self.browser.picture("9-deleted")
        assert not letters(self.mail, "user02", "Maildir/.Trash")
        self.sign_out()

    def the_other_reads_the_reply(self):
        self.sign_in("user01")
        self.browser.wait_for_text(ROWS, f"Re: {SUBJECT}")
        self.select(f"Re: {SUBJECT}")
        self.browser.frame("#messagecontframe")
        self.browser.wait_for_text("#messagebody", "답장 본문입니다.")
        self.browser.wait_for_text("#attachment-list", ATTACHMENT)
        got = self.browser.script("const wanted = document.querySelector('#attachment-list li a.filename, #attachment-list li a').href + '&_download=1';"
                                  "const request = new XMLHttpRequest(); request.open('GET', wanted, false); request.overrideMimeType('text/plain; charset=x-user-defined');"
                                  "request.send(); const text = request.responseText;"
                                  "return [request.status, text.length, [...text].every((octet, place) => (octet.charCodeAt(0) & 255) == place % 256)];")
        assert got == [200, len(CONTENT), True], got
        self.browser.frame()
        self.browser.picture("10-reply-read")
        self.sign_out()

    def nothing_in_the_logs(self):
        """No error in Roundcube's, Apache's, the browser's or our log."""
        said = [entry["message"] for entry in self.browser.console() if "_task=login" not in entry["message"] or "401" not in entry["message"]]   # the wrong password
        self.browser.close()
        assert not said, said
        for file in self.mail.path("/var/log/roundcube").iterdir():
            lines = [line for line in file.read_text().splitlines() if "Login failed for user02" not in line]
            assert file.name == "sendmail.log" or not lines, f"{file.name}: {lines}"
        lines = [line for line in self.mail.log("/var/log/apache2/error.log").splitlines() if not APACHE_NOTICES.search(line)]
        assert not lines, lines
        wrong = [line for line in self.mail.log().splitlines() if re.search(r"\b(?:[Ee]rror|[Ww]arning|[Ff]atal|[Pp]anic)\b", line)]
        assert not wrong, wrong
        self.mail.keep("/var/log/roundcube/*", "/var/log/apache2/*.log")

    def steps(self):
        return [self.log_in, self.open_the_mail, self.reply_with_attachment, self.create_a_folder, self.new_mail_comes, self.flag, self.search, self.move, self.delete,
                self.the_other_reads_the_reply, self.nothing_in_the_logs]
