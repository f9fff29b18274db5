// What main.cf and master.cf give the manager: settings of Postfix's daemons with the -o settings of their lines, cleanup services, notices.
#include "libproto/address/resolve.h"
#include "queued/manager/manager.h"

namespace postcot::queued {

namespace {

// main.cf as the daemon `command` sees it; as it is, where master.cf has no line for it.
Expected<config::MainCf> main_for(const config::MainCf& main, const config::MasterCf& master, const char* command) {
    auto found = config::main_of(main, master, "", command);
    if (!found) return fail(std::move(found.error()));
    return *found ? std::move(**found) : main;
}

Expected<void> open_cleanups(const config::MainCf& main, const config::MasterCf& master, ManagerConfig& out) {
    auto open = [&](const std::string& name, const config::MainCf& with) -> Expected<void> {
        auto cleanup = Cleanup::open(with);
        if (!cleanup) return fail(with.located(std::move(cleanup.error())));
        out.cleanups[name] = std::move(*cleanup);
        return {};
    };
    for (const auto& service : master.services()) {
        if (service.command != "cleanup" || service.type == "inet") continue;
        auto with = config::main_of(main, master, service.name, "cleanup");
        if (!with) return fail(std::move(with.error()));
        if (auto opened = open(service.name, **with); !opened) return opened;
    }
    if (out.cleanups.count("cleanup")) return {};
    return open("cleanup", main);
}

}   // namespace

const Cleanup* ManagerConfig::cleanup(const std::string& service) const {
    auto found = cleanups.find(service.empty() ? "cleanup" : service);
    return found == cleanups.end() ? nullptr : found->second.get();
}

std::string ManagerConfig::waits_for(const ipc::Envelope& envelope) const {
    const Cleanup* its = cleanup(envelope.cleanup_service);
    if (!its) return "cleanup_service_name: no service " + envelope.cleanup_service + " in master.cf: mail waits";
    const auto missing = its->missing_filter(envelope);
    return missing.waits() ? missing.reason() : std::string();
}

Expected<std::unique_ptr<ManagerConfig>> ManagerConfig::load(const config::MainCf& main,
                                                             const config::MasterCf& master) {
    auto out = std::make_unique<ManagerConfig>();
    auto settings = Settings::read(main, master);
    if (!settings) return fail(std::move(settings.error()));
    out->settings = std::move(*settings);
    if (auto opened = open_cleanups(main, master, *out); !opened) return fail(std::move(opened.error()));
    auto rewrite = main_for(main, master, "trivial-rewrite");
    if (!rewrite) return fail(std::move(rewrite.error()));
    auto resolver = address::Resolver::open(*rewrite);
    if (!resolver) return fail(rewrite->located(std::move(resolver.error())));
    out->resolver = std::move(*resolver);

    auto bounce = main_for(main, master, "bounce");
    if (!bounce) return fail(std::move(bounce.error()));
    out->dsn.myhostname = bounce->str("myhostname");
    out->dsn.mydomain = bounce->str("mydomain");
    out->dsn.myorigin = out->resolver->rewriter().my_origin();
    out->dsn.delay_warning_time = bounce->time("delay_warning_time");
    out->dsn.maximal_queue_lifetime = bounce->time("maximal_queue_lifetime");
    out->dsn.mail_name = bounce->str("mail_name");
    std::string file = bounce->str("bounce_template_file");
    std::string text;
    if (!file.empty()) {
        auto read = read_file(Files::disk(), file, 1 << 20);
        if (!read)
            return fail(bounce->located(Error{read.error().code, {}, "bounce_template_file: " + read.error().text}));
        text = std::move(*read);
    }
    class Expander : public TemplateExpander {
      public:
        explicit Expander(const config::MainCf& main_cf) : main_(main_cf) {}
        std::string value(std::string_view name) const override { return main_.str(name); }

      private:
        const config::MainCf& main_;
    } expander(*bounce);
    auto templates = load_templates(text, out->dsn, &expander);
    if (!templates) return fail(templates.error());
    out->templates = std::move(*templates);
    return out;
}

}   // namespace postcot::queued
