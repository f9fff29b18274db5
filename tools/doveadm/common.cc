#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

const config::DovecotConf& Context::need_conf() {
    if (!conf) {
        auto loaded = config::DovecotConf::load_file(config_file);
        if (!loaded) {
            std::fprintf(stderr, "doveadm: Fatal: %s\n", loaded.error().text.c_str());
            std::exit(89);
        }
        conf = std::move(*loaded);
    }
    return *conf;
}

std::string Context::socket(std::string_view path) {
    if (!path.empty() && path[0] == '/') return std::string(path);
    return need_conf().str("base_dir") + "/" + std::string(path);
}

bool Options::has(char letter) const {
    for (const auto& [name, value] : given) {
        if (name == letter) return true;
    }
    return false;
}

std::string Options::value(char letter) const {
    auto all = values(letter);
    return all.empty() ? std::string() : all.back();
}

std::vector<std::string> Options::values(char letter) const {
    std::vector<std::string> out;
    for (const auto& [name, value] : given) {
        if (name == letter) out.push_back(value);
    }
    return out;
}

bool parse_options(const Arguments& arguments, std::string_view flags, std::string_view with_value,
                   std::string_view usage, Options& out) {
    auto wrong = [&](const std::string& why) {
        std::fprintf(stderr, "%s\nusage: doveadm %s\n", why.c_str(), std::string(usage).c_str());
        return false;
    };
    for (size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "--") {
            out.rest.insert(out.rest.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
            break;
        }
        if (argument.size() < 2 || argument[0] != '-') {
            out.rest.push_back(argument);
            continue;
        }
        for (size_t k = 1; k < argument.size(); ++k) {
            char letter = argument[k];
            if (flags.find(letter) != std::string_view::npos) {
                out.given.emplace_back(letter, "");
            } else if (with_value.find(letter) != std::string_view::npos) {
                if (k + 1 < argument.size()) {
                    out.given.emplace_back(letter, argument.substr(k + 1));
                } else if (i + 1 < arguments.size()) {
                    out.given.emplace_back(letter, arguments[++i]);
                } else {
                    return wrong(std::string("option requires an argument -- '") + letter + "'");
                }
                break;
            } else {
                return wrong(std::string("invalid option -- '") + letter + "'");
            }
        }
    }
    return true;
}

void error(std::string_view text) { std::fprintf(stderr, "Error: %.*s\n", static_cast<int>(text.size()), text.data()); }

std::optional<std::string> ask_password(const char* prompt) {
    termios old{};
    bool terminal = tcgetattr(STDIN_FILENO, &old) == 0;
    if (terminal) {
        std::fprintf(stderr, "%s", prompt);
        termios quiet = old;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    std::string line;
    int c;
    while ((c = std::getchar()) != EOF && c != '\n' && line.size() < 4096) line += static_cast<char>(c);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        std::fputc('\n', stderr);
    }
    if (c == EOF && line.empty()) return std::nullopt;
    return line;
}

namespace {

void print_aligned(const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> width;
    for (size_t i = 0; i < columns.size(); ++i) {
        size_t widest = columns[i].title.size();
        for (const auto& row : rows) widest = std::max(widest, row[i].size());
        width.push_back(widest);
    }
    auto line = [&](auto&& cell) {
        std::string out;
        for (size_t i = 0; i < columns.size(); ++i) {
            std::string text = cell(i);
            std::string padding(width[i] - text.size(), ' ');
            if (i > 0) out += ' ';
            out += columns[i].right ? padding + text : text + (i + 1 < columns.size() ? padding : "");
        }
        std::printf("%s\n", out.c_str());
    };
    line([&](size_t i) { return columns[i].title; });
    for (const auto& row : rows) line([&](size_t i) { return row[i]; });
}

}   // namespace

void print_table(Format format, const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows) {
    switch (format) {
        case Format::kDefault:
        case Format::kTable: print_aligned(columns, rows); break;
        case Format::kTab:
            for (size_t i = 0; i < columns.size(); ++i) std::printf("%s%s", i ? "\t" : "", columns[i].title.c_str());
            std::printf("\n");
            for (const auto& row : rows) {
                for (size_t i = 0; i < row.size(); ++i) std::printf("%s%s", i ? "\t" : "", row[i].c_str());
                std::printf("\n");
            }
            break;
        case Format::kFlow:
            for (const auto& row : rows) {
                for (size_t i = 0; i < row.size(); ++i)
                    std::printf("%s%s=%s", i ? " " : "", columns[i].title.c_str(), row[i].c_str());
                std::printf("\n");
            }
            break;
        case Format::kPager:
            for (size_t r = 0; r < rows.size(); ++r) {
                if (r > 0) std::printf("\f\n");
                for (size_t i = 0; i < rows[r].size(); ++i)
                    std::printf("%s: %s\n", columns[i].title.c_str(), rows[r][i].c_str());
            }
            break;
    }
}

}   // namespace postcot::doveadm
