internal import COpenSSL

/// What the OpenSSL that this process found at run time can do.
package enum TLSLibrary {
  package static var version: String { String(cString: OpenSSL_version(OPENSSL_VERSION)) }

  /// The machine's OpenSSL configuration asks for validated algorithms only (`default_properties = fips=yes`), which all of our contexts
  /// follow: what its provider has not got is neither offered nor taken.
  package static var isFIPS: Bool { EVP_default_properties_is_fips_enabled(nil) == 1 }

  /// Key exchanges between proxies, the one we want most first: hybrid post-quantum where OpenSSL has it (3.5, or a provider), so that what is
  /// recorded today cannot be read by tomorrow's quantum computer.
  package static let groups = supported(["X25519MLKEM768", "X25519", "P-256"])
  /// The same with servers outside the mesh. In TLS 1.2 the list is also what curves a server's certificate may be on.
  static let publicGroups = supported(["X25519MLKEM768", "X25519", "P-256", "P-384"])

  /// OpenSSL refuses a list for one name in it that it does not know.
  private static func supported(_ names: [String]) -> [String] {
    guard let context = SSL_CTX_new(TLS_method()) else { return [] }
    defer {
      SSL_CTX_free(context)
      ERR_clear_error()
    }
    return names.filter { apus_ssl_ctx_set_groups(context, $0) == 1 }
  }
}
