import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole.
  static func compression(_ block: Fields) -> [PolicySetting] {
    let isOn = block.optional("enabled").map { $0.bool() ?? true }
    let types = block.optional("contentTypes").map { field in
      let types = field.elements(atMost: PolicyLimits.contentTypes).compactMap { $0.mediaType() }
      if types.isEmpty, !field.context.hasErrors {
        field.error("must not be empty", fix: "remove it for the usual types, or write enabled: false for none")
      }
      return types
    }
    let minimum = block.count("minimumBytes", 0...PolicyLimits.minimumCompressedBytes)
    let level = block.count("level", 1...9)
    guard !block.context.hasErrors else { return [] }
    let isSilent = types == nil && minimum == nil && level == nil
    if isOn == false, !isSilent {
      block.error("enabled", "is false, so the fields beside it say nothing", fix: "remove them, or write true")
    }
    if isOn == nil, isSilent { return [] }
    var policy = CompressionPolicy()
    policy.contentTypes = types ?? policy.contentTypes
    policy.minimumBytes = minimum ?? policy.minimumBytes
    policy.level = level ?? policy.level
    return [.compression(isOn == false ? nil : policy)]
  }
}

extension Field {
  /// `text/html` or `text/*`, in lower case.
  fileprivate func mediaType() -> String? {
    guard let text = string() else { return nil }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    let isPlain = text.utf8.count <= PolicyLimits.nameBytes && parts.count == 2 && NameSyntax.isToken(parts[0])
    if isPlain, parts[0] != "*", parts[1] == "*" || NameSyntax.isToken(parts[1]) && !parts[1].contains("*") {
      return text.lowercased()
    }
    error("\"\(text)\" is not a media type", fix: "write such as application/json or text/*")
    return nil
  }
}
