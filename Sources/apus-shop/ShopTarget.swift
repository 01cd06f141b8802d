/// Where a service is reached: the address to connect to, and what to ask for there.
///
/// By `$APUS_UPSTREAM_<NAME>` when declared (the mesh listens there for this one service), else through `$http_proxy` in
/// absolute form, else directly.
struct ShopTarget: Sendable {
  var host: String
  var port: Int
  /// The Host field.
  var authority: String
  /// Goes before the path: empty, or `http://authority` for a proxy.
  var prefix = ""

  static func service(_ name: String) throws -> ShopTarget {
    let variable = "APUS_UPSTREAM_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
    let namespace = ShopOptions.environment("APUS_NAMESPACE") ?? "default"
    if let declared = ShopOptions.environment(variable) {
      var target = try parse(declared).target
      target.authority = "\(name).\(namespace)"
      return target
    }
    return try url("http://\(name).\(namespace)").target
  }

  /// For any URL, by the proxy if there is one.
  static func url(_ text: String) throws -> (target: ShopTarget, path: String) {
    let (direct, path) = try parse(text)
    guard let proxy = ShopOptions.environment("http_proxy") else { return (direct, path) }
    var target = try parse(proxy).target
    target.authority = direct.authority
    target.prefix = "http://\(direct.authority)"
    return (target, path)
  }

  private static func parse(_ url: String) throws -> (target: ShopTarget, path: String) {
    guard url.hasPrefix("http://") else { throw ShopFailure(message: "\"\(url)\" is not an http:// URL") }
    let rest = url.dropFirst("http://".count)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let authority = rest[..<slash]
    let path = slash == rest.endIndex ? "/" : String(rest[slash...])
    let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
    guard let host = parts.first, !host.isEmpty, parts.count <= 2, let port = parts.count == 2 ? Int(parts[1]) : 80
    else { throw ShopFailure(message: "\"\(url)\" has no host, or a port that is no number") }
    return (ShopTarget(host: String(host), port: port, authority: String(authority)), path)
  }
}
