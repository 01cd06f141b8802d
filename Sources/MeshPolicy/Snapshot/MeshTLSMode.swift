/// Whether callers of a port must come with a certificate of the mesh.
package enum MeshTLSMode: String, Hashable, Sendable, CaseIterable {
  /// Who comes in plaintext is refused.
  case strict
  /// Plaintext is taken, too. Proxies of the mesh call over mutual TLS all the same.
  case permissive
  /// Proxies of the mesh call the program itself, in plaintext.
  case disabled

  /// A proxy that is put beside a program breaks none of the callers that it has.
  package static let standard = MeshTLSMode.permissive
}
