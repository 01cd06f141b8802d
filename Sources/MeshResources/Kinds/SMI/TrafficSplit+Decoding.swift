import MeshCore

extension TrafficSplit {
  /// Reads `split.smi-spec.io TrafficSplit` of the given version; nil after at least one problem was reported.
  init?(_ object: Fields, version: String) {
    let metadata = ObjectMetadata(object, nameRule: .subdomain)
    let spec = object.required("spec")?.fields()
    object.allow("status")
    object.finish()
    guard let metadata, let spec else { return nil }
    let service = spec.required("service", fix: "name the root service")?.service(in: metadata.namespace)
    let groups = Self.groups(spec, version: version)
    var backends: [Backend] = []
    if let list = spec.required("backends", fix: "list the leaf services") {
      let elements = list.elements(atMost: Self.maximumBackends)
      if elements.isEmpty { list.error("must not be empty", fix: "list the leaf services") }
      for element in elements {
        guard let fields = element.fields() else { continue }
        let leafField = fields.required("service")
        let leaf = leafField?.service(in: metadata.namespace)
        let weight = fields.required("weight").flatMap {
          version == "v1alpha1" ? $0.milliQuantity() : $0.integer(in: 0...Self.maximumWeight)
        }
        fields.finish()
        if let leaf, leaf == service {
          leafField?.error(
            "a split cannot send to its own root service", fix: "name a service of its own for this version")
        }
        guard let leaf, let weight else { continue }
        backends.append(Backend(service: leaf, weight: UInt32(weight)))
      }
    }
    spec.finish()
    guard let service else { return nil }
    self.init(metadata: metadata, service: service, matches: groups, backends: backends)
  }
}

extension TrafficSplit {
  /// Reads `matches`, of which an empty list means the same as none.
  private static func groups(_ spec: Fields, version: String) -> [String] {
    guard let list = spec.optional("matches") else { return [] }
    if !SMIVersion.hasSpec(version) {
      list.error("is a field of v1alpha3 and later", fix: "write apiVersion: split.smi-spec.io/v1alpha4")
      return []
    }
    var names: [String] = []
    for element in list.elements(atMost: maximumMatches) {
      guard let fields = element.fields() else { continue }
      _ = fields.optional("apiGroup")?.word(["specs.smi-spec.io"])
      _ = fields.required("kind", fix: "write kind: HTTPRouteGroup")?.word(["HTTPRouteGroup"])
      let name = fields.required("name", fix: "name an HTTPRouteGroup")?.subdomain()
      fields.finish()
      guard let name else { continue }
      if names.contains(name) {
        element.warning("the HTTPRouteGroup \(name) is named twice", fix: "remove it")
      } else {
        names.append(name)
      }
    }
    return names
  }
}

extension Field {
  /// A service's name, or its name in the DNS, in `namespace`.
  fileprivate func service(in namespace: String) -> String? {
    guard let text = string() else { return nil }
    guard let name = ServiceName(host: text, namespace: namespace) else {
      error(
        "\"\(text)\" is not the name of a service", fix: "write the name of a Service in the namespace \(namespace)")
      return nil
    }
    guard name.namespace == namespace else {
      error(
        "\(name) is in another namespace",
        fix: "a split and its services share one namespace; move the split to \(name.namespace)")
      return nil
    }
    return name.name
  }

  /// A Kubernetes quantity in thousandths: `1` is 1000, `500m` is 500.
  fileprivate func milliQuantity() -> Int? {
    let text: String
    switch node.value {
    case .number(let number): text = number
    case .string(let string): text = string
    default:
      error("must be a quantity, not \(node.kindDescription)", fix: "write 1 or 500m")
      return nil
    }
    guard let milli = Quantity.thousandths(text) else {
      error("\"\(text)\" is not a quantity", fix: "write 1 or 500m")
      return nil
    }
    guard (0...TrafficSplit.maximumWeight).contains(milli) else {
      error("\(text) must be from 0 to \(TrafficSplit.maximumWeight / 1000)")
      return nil
    }
    return milli
  }
}

/// The number format of `apimachinery/pkg/api/resource`.
enum Quantity {
  private static let suffixes: [String: Double] = [
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 0x1p10, "Mi": 0x1p20, "Gi": 0x1p30, "Ti": 0x1p40, "Pi": 0x1p50, "Ei": 0x1p60,
  ]

  /// Thousandths, fractions of them rounded up, as Kubernetes does. Nil for what is no quantity.
  static func thousandths(_ text: String) -> Int? {
    let number = text.prefix { ("0"..."9").contains($0) || $0 == "." || $0 == "-" || $0 == "+" }
    let suffix = String(text.dropFirst(number.count))
    guard number.contains(where: \.isNumber), let value = Double(number) else { return nil }
    let milli: Double
    if let factor = suffixes[suffix] {
      milli = value * factor * 1000
    } else if let first = suffix.first, "eE".contains(first), let power = Int(suffix.dropFirst()), abs(power) < 18,
      let scaled = Double("\(number)e\(power)")
    {
      milli = scaled * 1000
    } else {
      return nil
    }
    // The tolerance keeps 0.001 from becoming 2 by the binary form of the fraction.
    return abs(milli) < 1e15 ? Int((milli - 1e-6).rounded(.up)) : nil
  }
}
