import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole: what one policy allows is not for the callers of another.
  static func overrides(_ block: Fields) -> [PolicySetting] {
    let isOn = block.optional("enabled").map { $0.bool() ?? true }
    let kinds = block.optional("allow").map { field in
      let words = field.elements(atMost: OverrideWord.allCases.count).compactMap {
        $0.word(OverrideWord.allCases.map(\.rawValue)).flatMap(OverrideWord.init)
      }
      if words.isEmpty, !field.context.hasErrors { field.error("must not be empty", fix: OverrideWord.choice) }
      return words.reduce(into: OverridePolicy.Kinds()) { $0.formUnion($1.kind) }
    }
    let callers = block.optional("callers").map { $0.serviceAccounts(atMost: FaultLimits.clients) }
    guard !block.context.hasErrors else { return [] }
    if isOn == false {
      if kinds != nil || callers != nil {
        block.error("enabled", "is false, so the fields beside it say nothing", fix: "remove them, or write true")
      }
      return [.overrides(nil)]
    }
    guard let kinds else {
      block.error("allow", "is required", fix: OverrideWord.choice)
      return []
    }
    guard let callers else {
      block.error("callers", "is required", fix: "name the service accounts that may, such as shop/web")
      return []
    }
    return [.overrides(OverridePolicy(kinds: kinds, callers: callers))]
  }
}

/// The words of `overrides.allow`.
enum OverrideWord: String, CaseIterable {
  case timeout, attemptTimeout, retries

  var kind: OverridePolicy.Kinds {
    switch self {
    case .timeout: .timeout
    case .attemptTimeout: .attemptTimeout
    case .retries: .retries
    }
  }

  static let choice = "write some of timeout, attemptTimeout and retries"
}

extension Field {
  /// `NAMESPACE/NAME`, at least one.
  func serviceAccounts(atMost maximum: Int) -> [String] {
    let elements = elements(atMost: maximum)
    if elements.isEmpty { error("must not be empty", fix: "remove it, or name service accounts") }
    return elements.compactMap { element in
      guard let text = element.string() else { return nil }
      let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, NameSyntax.isLabel(parts[0]), NameSyntax.isSubdomain(parts[1]) else {
        element.error("\"\(text)\" is no service account", fix: "write NAMESPACE/NAME, such as shop/web")
        return nil
      }
      return text
    }
  }
}
