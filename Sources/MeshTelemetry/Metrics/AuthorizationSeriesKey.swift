/// What came of a call at a port with rules.
package enum AuthorizationOutcome: UInt8, Sendable, CaseIterable {
  /// Denied: by a rule, as no rule allows it, by the default mode, for its path, as there is no provider to ask, as it said
  /// no, as it did not say anything.
  case rule, nothingAllows, mode, path, provider, providerDenied, providerFailed
  /// Denied, as a policy has a mistake.
  case broken
  /// An audit policy matches, or does not. It decides nothing.
  case auditMatched, auditUnmatched

  var isDenial: Bool { self != .auditMatched && self != .auditUnmatched }

  /// The value of `reason`, or of `matched`.
  var text: StaticString {
    switch self {
    case .rule: "rule"
    case .nothingAllows: "nothing_allows"
    case .mode: "default_mode"
    case .path: "ambiguous_path"
    case .provider: "no_provider"
    case .providerDenied: "provider"
    case .providerFailed: "provider_failed"
    case .broken: "broken_policy"
    case .auditMatched: "true"
    case .auditUnmatched: "false"
    }
  }
}

/// The labels of a count of denials or audits. Strings are ids of the shard's `LabelInterner`.
package struct AuthorizationSeriesKey: Hashable, Sendable {
  package var service: Int32
  package var namespace: Int32
  /// The AuthorizationPolicy, as `shop/web-only`; empty where none decided.
  package var policy: Int32
  package var outcome: AuthorizationOutcome

  package init(service: Int32, namespace: Int32, policy: Int32, outcome: AuthorizationOutcome) {
    self.service = service
    self.namespace = namespace
    self.policy = policy
    self.outcome = outcome
  }

  private func labels(_ strings: [String]) -> String {
    LabelText.join([
      ("direction", "\(TrafficDirection.inbound.text)"), ("dst_service", strings[Int(service)]),
      ("dst_namespace", strings[Int(namespace)]), ("authorization_policy", strings[Int(policy)]),
      (outcome.isDenial ? "reason" : "matched", "\(outcome.text)"),
    ])
  }

  static func write(_ snapshots: [MetricsSnapshot], to writer: inout PrometheusWriter) {
    var denied: [String: UInt64] = [:]
    var audited: [String: UInt64] = [:]
    for snapshot in snapshots {
      for (key, count) in snapshot.authorizations {
        if key.outcome.isDenial {
          denied[key.labels(snapshot.strings), default: 0] &+= count
        } else {
          audited[key.labels(snapshot.strings), default: 0] &+= count
        }
      }
    }
    writer.counters(
      "authorization_denied_total", "Requests and connections that nobody allowed, by AuthorizationPolicy.", denied)
    writer.counters(
      "authorization_audited_total", "What audit policies saw, and whether it matched; it decides nothing.", audited)
  }
}
