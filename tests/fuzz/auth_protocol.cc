// Every line parser of the auth protocol, one line after another; what parses is written and must parse to the same
// again.
#include "libproto/sasl/auth_protocol.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace postcot::sasl;

static void require(bool held) {
    if (!held) std::abort();
}

static std::string_view without_lf(const std::string& line) {
    require(!line.empty() && line.back() == '\n');
    std::string_view view(line);
    view.remove_suffix(1);
    require(view.find('\n') == std::string_view::npos);
    return view;
}

static void one_line(std::string_view line) {
    require(tab_unescape(tab_escape(line)) == line);
    if (auto parsed = parse_client_line(line);
        parsed && parsed->kind == ClientLine::Kind::kAuth && !parsed->auth.bad_base64) {
        std::string written = write_auth(parsed->auth);
        auto again = parse_client_line(without_lf(written));
        require(again && again->auth.response == parsed->auth.response &&
                again->auth.mechanism == parsed->auth.mechanism);
    }
    if (auto parsed = parse_server_line(line); parsed && parsed->kind == ServerLine::Kind::kOk) {
        std::string written = write_ok(parsed->id, parsed->fields);
        require(parse_server_line(without_lf(written)).has_value());
    }
    if (auto parsed = parse_master_line(line); parsed && parsed->kind == MasterLine::Kind::kRequest) {
        std::string written = write_request(parsed->id, parsed->client_pid, parsed->client_request_id, parsed->cookie,
                                            parsed->parameters);
        auto again = parse_master_line(without_lf(written));
        require(again && again->cookie == parsed->cookie);
    }
    if (auto parsed = parse_master_reply(line); parsed && parsed->kind == MasterReply::Kind::kUser) {
        std::string written = write_user_reply(parsed->id, parsed->user, parsed->fields);
        auto again = parse_master_reply(without_lf(written));
        require(again && again->user == parsed->user);
    }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    while (!input.empty()) {
        auto end = input.find('\n');
        one_line(input.substr(0, end).substr(0, kMaxAuthLine));
        if (end == std::string_view::npos) break;
        input.remove_prefix(end + 1);
    }
    return 0;
}
