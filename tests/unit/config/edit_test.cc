#include "libproto/config/edit.h"

#include "tests/unit/catch.h"

using namespace postcot::config;

TEST_CASE("postconf(1) -e, -X, -#: only the named logical lines change") {
    const char* text =
        "# head\nmyhostname = a\n   # inside\nmynetworks = 127.0.0.0/8,\n\t[::1]/128\n  \n# tail\nrelayhost =\nmua = y";
    CHECK(edit_main_cf(text, EditAction::kSet, {{"myhostname", "b"}, {"newone", "1"}, {"mynetworks", "x"}}) ==
          "# head\nmyhostname = b\n   # inside\nmynetworks = x\n  \n# tail\nrelayhost =\nmua = y\nnewone = 1\n");
    CHECK(edit_main_cf(text, EditAction::kCommentOut, {{"mynetworks", ""}, {"none", ""}}) ==
          "# head\nmyhostname = a\n   # inside\n#mynetworks = 127.0.0.0/8,\n#\t[::1]/128\n  \n# tail\nrelayhost =\nmua "
          "= y");
    CHECK(edit_main_cf(text, EditAction::kRemove, {{"mynetworks", ""}, {"relayhost", ""}}) ==
          "# head\nmyhostname = a\n   # inside\n  \n# tail\nmua = y");
    CHECK(edit_main_cf("", EditAction::kSet, {{"a", "b"}}) == "a = b\n");
}

TEST_CASE("postconf(1) -M, -Me: columns and folding are Postfix's; untouched services keep their text") {
    const char* text =
        "# c\nsmtp  inet n - y - - smtpd\n\n#foo\nsubmission inet n - y - - smtpd\n  -o "
        "syslog_name=postfix/submission\n# between\n"
        "  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }\n\n# end\n"
        "very-very-long-service-name inet  n       -       y       -       - smtpd -v -o a=b\n"
        "maildrop unix - n n - - pipe flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}\n";
    auto pieces = split_master_cf(text, "master.cf");
    REQUIRE(pieces);
    CHECK(join_master_cf(*pieces) == text);
    std::vector<MasterPiece*> entries;
    for (auto& piece : *pieces) {
        if (piece.is_entry) entries.push_back(&piece);
    }
    REQUIRE(entries.size() == 4);
    CHECK(entries[1]->entry.format(false) ==
          "submission inet  n       -       y       -       -       smtpd -o syslog_name=postfix/submission "
          "-o {smtpd_client_restrictions=permit_sasl_authenticated, reject}");
    CHECK(entries[2]->entry.format(false) ==
          "very-very-long-service-name inet n - y   -       -       smtpd -v -o a=b");
    CHECK(entries[3]->entry.format(true) ==
          "maildrop   unix  -       n       n       -       -       pipe flags=DRXhu\n"
          "    user=vmail argv=/usr/bin/maildrop -d ${recipient}");
    entries[1]->entry.set_override("smtpd_client_restrictions", "reject");
    entries[1]->entry.set_override("x", "a b");
    entries[1]->entry.remove_override("syslog_name");
    entries[1]->changed = true;
    CHECK(join_master_cf(*pieces).find("submission inet  n       -       y       -       -       smtpd\n"
                                       "    -o smtpd_client_restrictions=reject\n    -o {x=a b}\n\n# end\n") !=
          std::string::npos);
    CHECK(comment_out("a\n  b\n# c\n\nd") == "#a\n#  b\n# c\n\n#d");
    CHECK_FALSE(split_master_cf("a b\n", "master.cf"));
}
