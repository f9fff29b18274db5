// RFC 3501 §6.3.11 APPEND, RFC 3502 MULTIAPPEND, APPENDUID (RFC 4315 §3), literals of RFC 3516. The message goes from the connection to the store as it comes.
#include <fmt/format.h>

#include <algorithm>

#include "imapd/commands/commands.h"
#include "imapd/flags.h"
#include "libproto/imap/response.h"
#include "libproto/imap/sequence_set.h"

namespace postcot::imapd {

namespace {

using Event = imap::CommandReader::Event;

class Appender {
  public:
    explicit Appender(Session& session) : session_(session) {}

    Task<Reply> run(Expected<imap::Command> command) {
        Expected<imap::Append> first = as_append(std::move(command));
        if (!first) co_return co_await refuse(error_reply(first.error()));
        mailbox_ = first->mailbox;
        Expected<imap::Append> next = std::move(first);
        if (mailbox_.empty()) co_return co_await refuse(no("CANNOT", "Invalid mailbox name: Name is empty"));
        for (;;) {
            auto taken = co_await take_message(*next);
            if (taken) co_return std::move(*taken);
            Event event = co_await next_event();
            if (session_.ended()) co_return Reply{Reply::Status::kNone, {}, {}, {}};
            if (event == Event::kRefused) co_return bad(session_.reader().refusal());
            if (event == Event::kCommand) {
                if (session_.reader().text().find_first_not_of(' ') != std::string_view::npos)
                    co_return bad("expected the end of the command after the message");
                break;
            }
            next = imap::parse_append_next(session_.reader().text());
            if (!next) co_return co_await refuse(error_reply(next.error()));
        }
        co_return co_await commit();
    }

  private:
    static Expected<imap::Append> as_append(Expected<imap::Command> command) {
        if (!command) return fail(command.error());
        auto* append = std::get_if<imap::Append>(&*command);
        if (!append) return fail(0, "unexpected literal");
        return std::move(*append);
    }
    static Reply error_reply(const Error& error) { return error.enhanced.empty() ? bad(error.text) : no(error); }

    // Feeds the reader until it has something; "+ OK" for literals on the way.
    Task<Event> next_event() {
        for (;;) {
            auto view = co_await session_.stream().peek(kInactivity);
            if (!view) {
                session_.end("Connection closed");
                co_return Event::kNeedMore;
            }
            std::string_view in = *view;
            Event event = session_.reader().feed(in);
            session_.stream().consume(view->size() - in.size());
            if (event == Event::kContinue)
                session_.put("+ OK\r\n");
            else if (event != Event::kNeedMore)
                co_return event;
        }
    }

    // The literal is not wanted: a synchronising one is never sent, of the other everything up to the command's end is thrown away.
    Task<Reply> refuse(Reply reply) {
        append_.reset();
        if (session_.reader().literal_synchronising()) co_return reply;
        co_await discard(session_.reader().literal_size());
        if (session_.ended()) co_return Reply{Reply::Status::kNone, {}, {}, {}};
        session_.reader().skip_rest();
        (void)co_await next_event();
        co_return reply;
    }

    Task<void> discard(uint64_t left) {
        while (left > 0) {
            auto view = co_await session_.stream().peek(kInactivity);
            if (!view) {
                session_.end("Connection closed");
                co_return;
            }
            size_t n = static_cast<size_t>(std::min<uint64_t>(left, view->size()));
            session_.stream().consume(n);
            left -= n;
        }
    }

    Task<Expected<void>> begin(const imap::Append& message) {
        auto start = [&](maildir::MailStore& store) -> Expected<void> {
            if (!append_) {
                auto opened = store.append(mailbox_);
                if (!opened) return fail(opened.error());
                append_ = std::move(*opened);
            }
            std::optional<maildir::DateTime> date;
            if (message.date) date = maildir::DateTime{message.date->seconds, message.date->zone_minutes};
            return append_->begin(system_flags(message.flags), message.flags.keywords, date);
        };
        co_return co_await session_.owner().with_store(start);
    }

    // One message; a reply means that the command is over.
    Task<std::optional<Reply>> take_message(const imap::Append& message) {
        imap::CommandReader& reader = session_.reader();
        uint64_t left = reader.literal_size();
        // RFC 3502 §6.3.11: so a client takes a MULTIAPPEND back; and no message is empty.
        if (left == 0) co_return co_await refuse(no("", "Can't save a zero byte message."));
        if (left > kMaxMessage) co_return co_await refuse(no("TOOBIG", "Message is too big."));
        if (std::string keyword = overlong_keyword(message.flags, session_.settings().max_keyword_length);
            !keyword.empty())
            co_return co_await refuse(no("LIMIT", "Keyword is too long: " + keyword));
        auto begun = co_await begin(message);
        if (!begun) co_return co_await refuse(no(begun.error()));
        if (reader.literal_synchronising()) session_.put("+ OK\r\n");
        while (left > 0) {
            auto view = co_await session_.stream().peek(kInactivity);
            if (!view) {
                session_.end(view.error().code == ETIMEDOUT ? "Inactivity during APPEND"
                                                            : "Connection closed in APPEND");
                co_return Reply{Reply::Status::kNone, {}, {}, {}};
            }
            std::string_view piece = view->substr(0, static_cast<size_t>(std::min<uint64_t>(left, view->size())));
            auto write = [&](maildir::MailStore&) { return append_->write(piece); };
            auto written = co_await session_.owner().with_store(write);
            session_.stream().consume(piece.size());
            left -= piece.size();
            if (!written) {   // disk full: the rest has been promised to us and must be taken
                co_await discard(left);
                if (session_.ended()) co_return Reply{Reply::Status::kNone, {}, {}, {}};
                reader.skip_rest();
                (void)co_await next_event();
                co_return no(written.error());
            }
        }
        ++messages_;
        reader.after_message();
        co_return std::nullopt;
    }

    Task<Reply> commit() {
        auto finish = [&](maildir::MailStore&) {
            auto result = append_->commit();
            append_.reset();
            return result;
        };
        auto result = co_await session_.owner().with_store(finish);
        if (!result) co_return no(result.error());
        session_.counters().appended += messages_;
        session_.owner().changed(mailbox_, &session_);
        std::vector<uint32_t> uids;
        for (maildir::Uid uid : result->target) uids.push_back(uid.value);
        std::string code =
            uids.empty() ? std::string() : fmt::format("APPENDUID {} {}", result->uid_validity, imap::format_set(uids));
        co_return ok("Append completed.", std::move(code));
    }

    Session& session_;
    std::string mailbox_;
    std::unique_ptr<maildir::Append> append_;
    uint64_t messages_ = 0;
};

}   // namespace

Task<void> append_messages(Session& session, imap::Request request) {
    session.begin_command(request);
    Reply reply;
    {
        Appender appender(session);
        reply = co_await appender.run(std::move(request.command));
    }
    News news = reply.status == Reply::Status::kBad ? News::kNone : News::kAll;
    co_await session.finish_command(std::move(reply), news, "APPEND");
}

// Without a message literal.
Task<Dispatch> on(Session&, const imap::Append&) {
    co_return Dispatch{bad("expected the message literal"), News::kNone};
}

}   // namespace postcot::imapd
