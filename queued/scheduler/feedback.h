// Concurrency of one destination with feedback (SCHEDULER_README "Concurrency scheduling"): it starts at initial_destination_concurrency, grows with
// each good delivery and shrinks with each one that the destination as a whole did not take; when a whole window's worth of deliveries failed
// (*_destination_concurrency_failed_cohort_limit times) the destination is dead, until somebody lets it rest and starts again.
#pragma once

#include <cstddef>
#include <string>

namespace postcot::queued {

// *_concurrency_{positive,negative}_feedback: "1", "0.5", "1/concurrency", "1/sqrt_concurrency".
struct FeedbackRule {
    double numerator = 1;
    enum class Divisor { kNone, kConcurrency, kSqrtConcurrency } divisor = Divisor::kNone;
    double at(double concurrency) const;
    static FeedbackRule parse(const std::string& text);   // anything else counts as "1"
};

struct FeedbackSettings {
    size_t initial = 5;
    size_t limit = 20;               // 0: none
    double cohort_limit = 1;         // 0: never dead
    FeedbackRule positive, negative;
};

class Feedback {
  public:
    explicit Feedback(const FeedbackSettings& settings) : settings_(&settings), window_(start()) {}

    size_t window() const { return window_; }   // 0: dead
    bool dead() const { return window_ == 0; }
    void succeeded(size_t in_flight);
    void failed();
    void revive();

  private:
    size_t start() const;
    const FeedbackSettings* settings_;
    size_t window_;
    double success_ = 0;
    double failure_ = 0;
    double failed_cohorts_ = 0;
};

}   // namespace postcot::queued
