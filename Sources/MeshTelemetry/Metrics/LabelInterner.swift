/// Small numbers for label values. Strings enter when configuration or a connection brings them, never per request.
///
/// Confined to its worker. Limit: past `maximumLabels` different values every new one is `overflow`.
package final class LabelInterner {
  package static let maximumLabels = 20_000

  /// The empty string, for labels without a value.
  package static let empty: Int32 = 0
  /// "overflow".
  package static let overflow: Int32 = 1

  private(set) var strings = ["", "overflow"]
  private var ids: [String: Int32] = ["": 0, "overflow": 1]
  private let maximum: Int

  package init(maximum: Int = LabelInterner.maximumLabels) { self.maximum = maximum }

  package func id(_ string: String) -> Int32 {
    if let known = ids[string] { return known }
    guard strings.count < maximum else { return Self.overflow }
    let id = Int32(strings.count)
    strings.append(string)
    ids[string] = id
    return id
  }

  package func string(_ id: Int32) -> String { strings[Int(id)] }
}
