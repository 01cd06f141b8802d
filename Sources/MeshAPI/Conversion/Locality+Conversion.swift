import MeshCore
import MeshPolicy
import SwiftProtobuf

extension LocalityPolicy {
  init(_ message: Apus_V1_LocalityPreference, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) {
      guard message.overprovisioningPercent >= 100 else {
        throw ConversionError(
          field: "overprovisioning_percent",
          problem: "\(message.overprovisioningPercent): below 100 a healthy zone would give requests away")
      }
      try limits.check(message.failover.count, atMost: limits.maximumPairs, "failover")
      try limits.check(message.distribution.count, atMost: limits.maximumPairs, "distribution")
      self.init(
        overprovisioningPercent: message.overprovisioningPercent,
        failover: try convertEach(message.failover, "failover") { entry throws(ConversionError) in
          try limits.check(entry.from, "from", allowEmpty: true)
          try limits.check(entry.to.count, atMost: limits.maximumPairs, "to")
          for zone in entry.to { try limits.check(zone, "to") }
          return Failover(from: ZoneSelector(wire: entry.from), to: entry.to)
        },
        distribution: try convertEach(message.distribution, "distribution") { entry throws(ConversionError) in
          try Distribution(entry, limits: limits)
        },
        activeRequestsPerEndpoint: message.activeRequestsPerEndpoint == 0 ? nil : message.activeRequestsPerEndpoint)
    } catch {
      throw error.inside("locality")
    }
  }
}

extension LocalityPolicy.Distribution {
  init(_ message: Apus_V1_ZoneDistribution, limits: ConversionLimits) throws(ConversionError) {
    try limits.check(message.from, "from", allowEmpty: true)
    try limits.check(message.to.count, atMost: limits.maximumPairs, "to")
    for share in message.to {
      try limits.check(share.zone, "to.zone")
      _ = try convertPercent(share.percent, "to.percent")
    }
    guard Set(message.to.map(\.zone)).count == message.to.count else {
      throw ConversionError(field: "to", problem: "a zone is named twice")
    }
    let sum = message.to.reduce(0) { $0 + $1.percent }
    guard sum == 100 else { throw ConversionError(field: "to", problem: "the parts are \(sum) percent together") }
    self.init(
      from: .init(wire: message.from),
      to: message.to.map { LocalityPolicy.ZoneShare(zone: $0.zone, percent: $0.percent) })
  }
}

extension SubsetPolicy {
  init(_ message: Apus_V1_SubsetSelection, limits: ConversionLimits) throws(ConversionError) {
    do throws(ConversionError) {
      try checkHeaderName(message.header, limits: limits)
      guard message.header == message.header.lowercased() else {
        throw ConversionError(field: "header", problem: "\"\(message.header)\" is not in lower case")
      }
      try limits.check(message.label, "label")
      try limits.check(message.defaultValue, "default_value", allowEmpty: true)
    } catch {
      throw error.inside("subset")
    }
    let fallback: Fallback
    switch message.fallback {
    case .any: fallback = .any
    case .default: fallback = .default
    case .none: fallback = .none
    case .UNRECOGNIZED(let number):
      throw ConversionError(
        field: "subset.fallback", problem: "\(number) is none; is the controller newer than this proxy?")
    }
    self.init(
      header: message.header, label: message.label,
      defaultValue: message.defaultValue.isEmpty ? nil : message.defaultValue, fallback: fallback)
  }
}

extension LocalityPolicy.ZoneSelector {
  fileprivate init(wire: String) { self = wire.isEmpty ? .any : .zone(wire) }

  fileprivate var wire: String {
    switch self {
    case .any: ""
    case .zone(let zone): zone
    }
  }
}

// MARK: - To the wire

extension Apus_V1_LocalityPreference {
  init(_ policy: LocalityPolicy) {
    self.init()
    overprovisioningPercent = policy.overprovisioningPercent
    activeRequestsPerEndpoint = policy.activeRequestsPerEndpoint ?? 0
    failover = policy.failover.map { entry in
      .with {
        $0.from = entry.from.wire
        $0.to = entry.to
      }
    }
    distribution = policy.distribution.map { entry in
      .with {
        $0.from = entry.from.wire
        $0.to = entry.to.map { share in
          .with {
            $0.zone = share.zone
            $0.percent = share.percent
          }
        }
      }
    }
  }
}

extension Apus_V1_SubsetSelection {
  init(_ policy: SubsetPolicy) {
    self.init()
    header = policy.header
    label = policy.label
    defaultValue = policy.defaultValue ?? ""
    fallback =
      switch policy.fallback {
      case .any: .any
      case .default: .default
      case .none: .none
      }
  }
}
