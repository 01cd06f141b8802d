import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole.
  static func locality(_ field: Field) -> PolicySetting? {
    guard let fields = field.fields() else { return nil }
    let isOn = fields.optional("enabled").flatMap { $0.bool() } ?? true
    var policy = LocalityPolicy()
    let percent = fields.count("overprovisioningPercent", PolicyLimits.overprovisioningPercent)
    policy.overprovisioningPercent = percent ?? policy.overprovisioningPercent
    policy.activeRequestsPerEndpoint = fields.count("activeRequestsPerEndpoint", 1...PolicyLimits.count)
    policy.failover = entries(fields, "failover", \.from) { entry, from in
      failover(entry).map { LocalityPolicy.Failover(from: from, to: $0) }
    }
    policy.distribution = entries(fields, "distribution", \.from) { entry, from in
      distribution(entry).map { LocalityPolicy.Distribution(from: from, to: $0) }
    }
    fields.finish()
    for both in policy.distribution where policy.failover.contains(where: { $0.from == both.from }) {
      fields.error(
        "failover", "clients of one zone have a distribution and an order for fail-over",
        fix: "remove one: in a distribution the zones that are well share what others cannot carry")
    }
    if isOn { return .locality(policy) }
    if policy != LocalityPolicy() || percent != nil {
      fields.error("enabled", "is false, and the fields beside it say how it goes", fix: "remove them")
    }
    return .locality(nil)
  }

  private static func entries<Entry>(
    _ fields: Fields, _ name: String, _ from: (Entry) -> LocalityPolicy.ZoneSelector,
    _ read: (Fields, LocalityPolicy.ZoneSelector) -> Entry?
  ) -> [Entry] {
    var entries: [Entry] = []
    for element in fields.optional(name)?.elements(atMost: PolicyLimits.zones) ?? [] {
      guard let entry = element.fields() else { continue }
      let zone = entry.required("from", fix: "write the clients' zone, or \"*\" for every other")?.zone(orAny: true)
      // `to` is read in any case, so that its own mistakes show.
      let found = read(entry, zone == "*" ? .any : .zone(zone ?? ""))
      entry.finish()
      guard zone != nil, let found else { continue }
      if entries.contains(where: { from($0) == from(found) }) {
        entry.error("from", "the zone has an entry already", fix: "join the two")
      }
      entries.append(found)
    }
    return entries
  }

  private static func failover(_ entry: Fields) -> [String]? {
    guard let list = entry.required("to", fix: "list the zones that take over, the first one first") else { return nil }
    let zones = list.elements(atMost: PolicyLimits.zones).compactMap { $0.zone() }
    if zones.isEmpty { list.error("must not be empty", fix: "list the zones that take over") }
    if Set(zones).count < zones.count { list.error("names a zone twice", fix: "remove one of them") }
    return zones
  }

  private static func distribution(_ entry: Fields) -> [LocalityPolicy.ZoneShare]? {
    guard let map = entry.required("to", fix: "write zones with their percent, such as {zone-a: 80, zone-b: 20}")
    else { return nil }
    let shares = map.entries().compactMap { zone, field -> LocalityPolicy.ZoneShare? in
      guard NameSyntax.isLabelValue(zone), !zone.isEmpty else {
        field.error("\"\(zone)\" is not the name of a zone")
        return nil
      }
      return field.integer(in: 1...100).map { LocalityPolicy.ZoneShare(zone: zone, percent: UInt32($0)) }
    }
    let sum = shares.reduce(0) { $0 + $1.percent }
    if sum != 100, !entry.context.hasErrors {
      map.error("the zones get \(sum) percent together", fix: "make it 100; a zone that gets nothing is left out")
    }
    return shares
  }

  // MARK: - Subsets

  static func subset(_ field: Field) -> PolicySetting? {
    guard let fields = field.fields() else { return nil }
    let isOn = fields.optional("enabled").flatMap { $0.bool() } ?? true
    guard isOn else {
      for name in ["header", "label", "default", "fallback"] {
        fields.optional(name)?.error("stands beside enabled: false", fix: "remove one of the two")
      }
      fields.finish()
      return .subset(nil)
    }
    let header = fields.required("header", fix: "name the field by which requests say what they want")?.headerName()
    let label = fields.required("label", fix: "name the label that tells the endpoints apart")?.labelKey()
    let value = fields.optional("default")?.zone()
    let word = fields.optional("fallback")?.word(SubsetPolicy.Fallback.allCases.map { "\($0)" })
    let fallback = SubsetPolicy.Fallback.allCases.first { "\($0)" == word } ?? .any
    if fallback == .default, value == nil, !field.context.hasErrors {
      fields.error("fallback", "there is no default", fix: "write default: VALUE beside it, or fallback: any")
    }
    fields.finish()
    guard let header, let label else { return nil }
    return .subset(
      SubsetPolicy(header: header.lowercased(), label: label, defaultValue: value, fallback: fallback))
  }
}

extension Field {
  /// The value of a label, not empty.
  func zone(orAny: Bool = false) -> String? {
    guard let text = string() else { return nil }
    if orAny, text == "*" { return text }
    if !text.isEmpty, NameSyntax.isLabelValue(text) { return text }
    error(
      "\"\(text)\" must be 1 to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends")
    return nil
  }

  fileprivate func labelKey() -> String? {
    guard let text = string() else { return nil }
    if NameSyntax.isQualifiedName(text) { return text }
    error("\"\(text)\" is not a label key", fix: "use name or example.com/name")
    return nil
  }
}
