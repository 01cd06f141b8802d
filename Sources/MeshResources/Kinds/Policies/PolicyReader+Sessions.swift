import MeshCore

extension PolicyReader {
  /// The fields of a rule's `sessionPersistence`. The block counts as a whole: a timeout of one policy is not for the cookie of another.
  static func sessionPersistence(_ block: Fields) -> [PolicySetting] {
    let isOn = block.optional("enabled").flatMap { $0.bool() } ?? true
    let session = SessionPersistence(block)
    guard !block.context.hasErrors, let session else { return [] }
    if isOn { return [.sessionPersistence(session)] }
    if session != SessionPersistence() {
      block.error("enabled", "is false, so the fields beside it say nothing", fix: "remove them, or write true")
    }
    return [.sessionPersistence(nil)]
  }
}

extension SessionPersistence {
  /// For people: `cookie sid, path /, idle at most 10m`.
  var text: String {
    let carried =
      switch carrier {
      case .cookie(let path, let isPermanent):
        "\(isPermanent ? "permanent " : "")cookie\(name.map { " \($0)" } ?? ""), path \(path)"
      case .header: "header\(name.map { " \($0)" } ?? "")"
      }
    let limits = [
      absoluteTimeout.map { ", at most \(GatewayDuration.text($0))" },
      idleTimeout.map { ", idle at most \(GatewayDuration.text($0))" },
    ]
    return carried + limits.compactMap(\.self).joined()
  }
}
