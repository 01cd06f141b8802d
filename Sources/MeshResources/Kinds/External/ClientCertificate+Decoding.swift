import MeshPolicy

extension TLSOrigination.ClientCertificate {
  private static let maximumPathBytes = 4_096

  /// Reads `mode`, `clientCertificate` and `privateKey` of an ExternalService's `tls`, named as in Istio's DestinationRule; nil for
  /// `mode: Simple`. The files are the proxy's: whether they can be used it says itself.
  init?(_ block: Fields) {
    let mode = block.optional("mode").flatMap { $0.word(["Simple", "Mutual"]) } ?? "Simple"
    guard mode == "Mutual" else {
      for name in ["clientCertificate", "privateKey"] {
        block.optional(name)?.error("is for mode: Mutual", fix: "remove it, or write mode: Mutual")
      }
      return nil
    }
    let certificate = block.required(
      "clientCertificate", fix: "write the path of a PEM file on the proxy's machine, own certificate first")
    let key = block.required("privateKey", fix: "write the path of a PEM file on the proxy's machine")
    let paths = [certificate, key].map { $0.flatMap(Self.path) }
    guard let certificate = paths[0], let key = paths[1] else { return nil }
    self.init(certificateFile: certificate, keyFile: key)
  }

  private static func path(_ field: Field) -> String? {
    guard let path = field.nonEmptyString() else { return nil }
    if path.contains("-----BEGIN") {
      field.error(
        "is the path of a file: what stands in a manifest is no secret",
        fix: "put it into a file on the proxy's machine")
      return nil
    }
    guard path.hasPrefix("/"), path.utf8.count <= maximumPathBytes, !path.utf8.contains(0) else {
      field.error("\"\(path.prefix(256))\" is not an absolute path", fix: "begin it with /")
      return nil
    }
    return path
  }
}
