// The access restriction lists (SMTPD_ACCESS_README): compiled once from main.cf, evaluated in Postfix's order with Postfix's texts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libproto/error.h"
#include "libproto/runtime/task.h"
#include "smtpd/context.h"
#include "smtpd/tables.h"

namespace postcot::smtpd {

class HostNames;

enum class Stage { kClient, kHelo, kSender, kRelay, kRecipient, kData, kEndOfData, kEtrn };

struct Verdict {
    enum class Kind { kDunno, kPermit, kReject } kind = Kind::kDunno;
    int code = 0;           // kReject
    std::string enhanced;   // "5.7.1"
    std::string text;       // "<a@b>: Relay access denied"

    static Verdict permit() { return {Kind::kPermit, 0, {}, {}}; }
    static Verdict dunno() { return {}; }
    static Verdict reject(int code, std::string_view enhanced,
                          std::string text);   // the status' class follows the code
    bool refused() const { return kind == Kind::kReject; }
};

struct Rule;

class Restrictions {
  public:
    // Errors name the parameter and the unknown or unsupported restriction. Also refused: no restriction that could stop relaying.
    static Expected<std::unique_ptr<Restrictions>> open(std::shared_ptr<const Service> service,
                                                        std::shared_ptr<const Tables> tables, HostNames& names);
    // Stand-alone mode: everything is let through, as with Postfix's smtpd -S.
    static std::unique_ptr<Restrictions> none(std::shared_ptr<const Service> service,
                                              std::shared_ptr<const Tables> tables, HostNames& names);
    ~Restrictions();

    // smtpd_client_restrictions at connection time, HELO, MAIL: only without smtpd_delay_reject.
    Task<Verdict> at_connect(Context& c);
    Task<Verdict> at_helo(Context& c);
    Task<Verdict> at_mail(Context& c);
    // All lists that were delayed, relay and recipient restrictions, recipient validation.
    Task<Verdict> at_rcpt(Context& c);
    Task<Verdict> at_data(Context& c);
    Task<Verdict> at_end_of_data(Context& c);
    Task<Verdict> at_etrn(Context& c);

  private:
    Restrictions(std::shared_ptr<const Service> service, std::shared_ptr<const Tables> tables, HostNames& names);
    // Deferrals that are decided at the end of all lists.
    struct Evaluation {
        Deferred if_reject, if_permit;
    };
    Task<Verdict> evaluate(Stage stage, Context& c, Evaluation& e);
    Task<Verdict> run(const std::vector<Rule>& rules, Stage stage, Context& c, Evaluation& e);
    Verdict apply(const Rule& rule, Stage stage, Context& c, Evaluation& e);
    Task<Verdict> apply_slow(const Rule& rule, Stage stage, Context& c, Evaluation& e);
    Task<Verdict> access(const Rule& rule, Stage stage, Context& c, Evaluation& e);
    Task<Verdict> host_access(const Rule& rule, Stage stage, Context& c, Evaluation& e);
    Task<Verdict> dns_list(const Rule& rule, Context& c);
    Task<Verdict> action(std::string value, std::string who, std::string what, Stage stage, Context& c, Evaluation& e);
    Task<Verdict> unknown_domain(bool sender, Context& c, Evaluation& e);
    Verdict login_mismatch(const Rule& rule, Context& c);
    Verdict unlisted(bool sender, Context& c);
    Verdict finish(Verdict v, Evaluation& e);

    std::shared_ptr<const Service> service_;
    std::shared_ptr<const Tables> tables_;
    HostNames& names_;
    std::vector<std::vector<Rule>> lists_;   // by Stage
};

}   // namespace postcot::smtpd
