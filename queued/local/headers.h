// What delivery puts before the message, and how loops are seen in it. Addresses are given in internal form.
#pragma once

#include <string>
#include <string_view>

namespace postcot::queued {

// "Return-Path: <sender>", "X-Original-To: ...", "Delivered-To: ..." with LF ends, as local(8) and virtual(8). Empty strings leave theirs out, but for
// the sender: an empty one is <>.
std::string delivery_headers(std::string_view sender, std::string_view original_to, std::string_view delivered_to);

// Does the header of `message` (its beginning) hold "Delivered-To: address"? RFC 5321 §6.3 loop detection as Postfix does it: case is ignored.
bool has_delivered_to(std::string_view message, std::string_view address);

// mbox: "From sender Tue Nov 24 08:15:55 2026".
std::string mbox_from_line(std::string_view sender, long long seconds);

}   // namespace postcot::queued
