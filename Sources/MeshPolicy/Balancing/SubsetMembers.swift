/// The endpoints of a backend by the value of the label that tells its subsets apart. Groups are numbered from 1; 0 is everybody.
struct SubsetMembers {
  let policy: SubsetPolicy?
  /// By the hash of the label's value.
  private var numbers: [UInt64: Int] = [:]
  private(set) var members: [[Int]] = []

  init() { policy = nil }

  init(_ policy: SubsetPolicy?, _ slots: [Int], _ endpoints: [Endpoint]) {
    self.policy = policy
    guard let policy else { return }
    for slot in slots {
      guard let value = endpoints[slot].labels[policy.label] else { continue }
      let key = RequestKey.key(of: value)
      if let number = numbers[key] {
        members[number - 1].append(slot)
      } else {
        members.append([slot])
        numbers[key] = members.count
      }
    }
  }

  func group(_ key: UInt64) -> Int? { numbers[key] }

  /// Where requests go that name no subset; nil when nobody has the label's value.
  var defaultGroup: Int? {
    guard let value = policy?.defaultValue else { return nil }
    return numbers[RequestKey.key(of: value)]
  }
}

extension EndpointBalancer {
  /// The group that a request is for; `groups[number]` is who serves it. Nil: nobody may.
  func groupNumber(_ subset: UInt64?) -> Int? {
    guard let policy = subsets.policy else { return 0 }
    guard let subset else { return policy.defaultValue == nil ? 0 : subsets.defaultGroup ?? strangers }
    return subsets.group(subset) ?? strangers
  }

  /// For requests whose subset nobody is in.
  private var strangers: Int? { subsets.policy?.fallback == SubsetPolicy.Fallback.none ? nil : groups.count - 1 }
}
