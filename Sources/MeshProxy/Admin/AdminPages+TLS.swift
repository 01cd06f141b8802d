import MeshCore
import MeshRuntime

// What a security team asks of a proxy's TLS, beside its certificates.
extension AdminPages {
  /// The field `tls` of `/certs`.
  func writeTLS(to json: inout JSONWriter) {
    json.object("tls") {
      $0.field("library", TLSLibrary.version)
      $0.field("fips", TLSLibrary.isFIPS)
      $0.field("minimum_version_in_mesh", "TLSv1.3")
      $0.array("key_exchange", TLSLibrary.groups) { json, group in json.value(group) }
      $0.field("key_memory", control.options.keyMemory.rawValue)
      $0.field("core_dumps", control.options.allowsCoreDumps ? "allowed" : "forbidden")
    }
    guard let trust = control.identity?.current?.trust else { return }
    json.object("revoked") {
      $0.array("lists", trust.listInfos) { json, list in
        json.object {
          $0.field("issuer", list.issuer)
          $0.field("entries", Int64(list.entries))
          $0.field("next_update", list.nextUpdate ?? 0)
        }
      }
      $0.array("identities", trust.revocations.identities.map(\.description).sorted()) { $0.value($1) }
      $0.array("serials", trust.revocations.serials.map(\.description).sorted()) { $0.value($1) }
    }
  }
}
