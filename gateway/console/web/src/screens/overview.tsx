import { Screen } from '../ui/parts'

export const Overview = () => <Screen title="Overview">{null}</Screen>
